from typing import Literal, cast

ListWebhookEndpointDeliveriesState = Literal["delivered", "failed", "waiting"]


def check_list_webhook_endpoint_deliveries_state(value: str) -> ListWebhookEndpointDeliveriesState:
    # A word that is newer than this client is let through.
    return cast(ListWebhookEndpointDeliveriesState, value)
