from typing import Literal, cast

EndpointState = Literal["disabled", "enabled", "suspended"]


def check_endpoint_state(value: str) -> EndpointState:
    # A word that is newer than this client is let through.
    return cast(EndpointState, value)
