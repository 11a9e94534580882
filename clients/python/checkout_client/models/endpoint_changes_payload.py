from typing import Literal, cast

EndpointChangesPayload = Literal["snapshot", "thin"]


def check_endpoint_changes_payload(value: str) -> EndpointChangesPayload:
    # A word that is newer than this client is let through.
    return cast(EndpointChangesPayload, value)
