from typing import Literal, cast

NewEndpointSigning = Literal["v1", "v1a"]


def check_new_endpoint_signing(value: str) -> NewEndpointSigning:
    # A word that is newer than this client is let through.
    return cast(NewEndpointSigning, value)
