"""Every table, for those who need the whole of the metadata: migrations, and queries that join across rooms."""

from checkout_service.carts.models import Cart, CartItem, User
from checkout_service.catalog.models import Listing, School, Spec, Vendor
from checkout_service.checkout.models import CheckoutSession
from checkout_service.console.models import Order, Run
from checkout_service.payments.models import Cancellation, Payment, PaymentEvent
from checkout_service.refunds.models import Refund, RefundEvent
from checkout_service.webhooks.models import WebhookDelivery

__all__ = [
    "Cancellation",
    "Cart",
    "CartItem",
    "CheckoutSession",
    "Listing",
    "Order",
    "Payment",
    "PaymentEvent",
    "Refund",
    "RefundEvent",
    "Run",
    "School",
    "Spec",
    "User",
    "Vendor",
    "WebhookDelivery",
]
