from typing import Literal, cast

ListWebhookEndpointsState = Literal["disabled", "enabled", "suspended"]


def check_list_webhook_endpoints_state(value: str) -> ListWebhookEndpointsState:
    # A word that is newer than this client is let through.
    return cast(ListWebhookEndpointsState, value)
