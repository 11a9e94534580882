from typing import Literal, cast

ClientSecretType = Literal["client_secret"]


def check_client_secret_type(value: str) -> ClientSecretType:
    # A word that is newer than this client is let through.
    return cast(ClientSecretType, value)
