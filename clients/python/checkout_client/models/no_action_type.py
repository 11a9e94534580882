from typing import Literal, cast

NoActionType = Literal["none"]


def check_no_action_type(value: str) -> NoActionType:
    # A word that is newer than this client is let through.
    return cast(NoActionType, value)
