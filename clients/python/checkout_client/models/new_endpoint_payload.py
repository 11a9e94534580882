from typing import Literal, cast

NewEndpointPayload = Literal["snapshot", "thin"]


def check_new_endpoint_payload(value: str) -> NewEndpointPayload:
    # A word that is newer than this client is let through.
    return cast(NewEndpointPayload, value)
