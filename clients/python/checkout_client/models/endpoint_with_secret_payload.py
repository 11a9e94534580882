from typing import Literal, cast

EndpointWithSecretPayload = Literal["snapshot", "thin"]


def check_endpoint_with_secret_payload(value: str) -> EndpointWithSecretPayload:
    # A word that is newer than this client is let through.
    return cast(EndpointWithSecretPayload, value)
