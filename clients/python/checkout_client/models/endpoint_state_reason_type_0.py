from typing import Literal, cast

EndpointStateReasonType0 = Literal["deleted", "failing", "gone", "requested", "stale"]


def check_endpoint_state_reason_type_0(value: str) -> EndpointStateReasonType0:
    # A word that is newer than this client is let through.
    return cast(EndpointStateReasonType0, value)
