from typing import Literal, cast

MergeHow = Literal["guest", "max", "mine", "sum"]


def check_merge_how(value: str) -> MergeHow:
    # A word that is newer than this client is let through.
    return cast(MergeHow, value)
