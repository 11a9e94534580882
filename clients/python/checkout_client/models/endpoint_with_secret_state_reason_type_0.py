from typing import Literal, cast

EndpointWithSecretStateReasonType0 = Literal["deleted", "failing", "gone", "requested", "stale"]


def check_endpoint_with_secret_state_reason_type_0(value: str) -> EndpointWithSecretStateReasonType0:
    # A word that is newer than this client is let through.
    return cast(EndpointWithSecretStateReasonType0, value)
