from typing import Literal, cast

EndpointWithSecretSigning = Literal["v1", "v1a"]


def check_endpoint_with_secret_signing(value: str) -> EndpointWithSecretSigning:
    # A word that is newer than this client is let through.
    return cast(EndpointWithSecretSigning, value)
