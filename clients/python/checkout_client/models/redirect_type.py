from typing import Literal, cast

RedirectType = Literal["redirect"]


def check_redirect_type(value: str) -> RedirectType:
    # A word that is newer than this client is let through.
    return cast(RedirectType, value)
