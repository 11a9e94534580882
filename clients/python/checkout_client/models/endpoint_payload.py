from typing import Literal, cast

EndpointPayload = Literal["snapshot", "thin"]


def check_endpoint_payload(value: str) -> EndpointPayload:
    # A word that is newer than this client is let through.
    return cast(EndpointPayload, value)
