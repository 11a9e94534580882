from typing import Literal, cast

EndpointWithSecretState = Literal["disabled", "enabled", "suspended"]


def check_endpoint_with_secret_state(value: str) -> EndpointWithSecretState:
    # A word that is newer than this client is let through.
    return cast(EndpointWithSecretState, value)
