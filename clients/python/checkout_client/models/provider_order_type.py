from typing import Literal, cast

ProviderOrderType = Literal["provider_order"]


def check_provider_order_type(value: str) -> ProviderOrderType:
    # A word that is newer than this client is let through.
    return cast(ProviderOrderType, value)
