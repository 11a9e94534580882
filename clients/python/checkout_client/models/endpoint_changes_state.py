from typing import Literal, cast

EndpointChangesState = Literal["disabled", "enabled"]


def check_endpoint_changes_state(value: str) -> EndpointChangesState:
    # A word that is newer than this client is let through.
    return cast(EndpointChangesState, value)
