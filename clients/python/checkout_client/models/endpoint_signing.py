from typing import Literal, cast

EndpointSigning = Literal["v1", "v1a"]


def check_endpoint_signing(value: str) -> EndpointSigning:
    # A word that is newer than this client is let through.
    return cast(EndpointSigning, value)
