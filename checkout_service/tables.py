"""Every table, for those who need the whole of the metadata: migrations, and queries that join across rooms."""

from checkout_service.captures.models import Capture, CaptureRequest, Void
from checkout_service.carts.models import Cart, CartItem, User
from checkout_service.catalog.models import Listing, School, Spec, Vendor
from checkout_service.checkout.models import CheckoutSession, SessionAddress
from checkout_service.commands.models import CommandResult, CommandRun, OperatorCommand
from checkout_service.disputes.models import Dispute
from checkout_service.payments.entry_models import PaymentAcceptance, PaymentAttempt, PaymentNotice, PaymentReview
from checkout_service.payments.models import CancelRequest, Payment, PaymentEvent
from checkout_service.privacy.models import Erasure
from checkout_service.refunds.models import Refund, RefundEvent
from checkout_service.webhooks.models import BelievedCertificate, WebhookDelivery

__all__ = [
    "BelievedCertificate",
    "CancelRequest",
    "Capture",
    "CaptureRequest",
    "Cart",
    "CartItem",
    "CheckoutSession",
    "CommandResult",
    "CommandRun",
    "Dispute",
    "Erasure",
    "Listing",
    "OperatorCommand",
    "Payment",
    "PaymentAcceptance",
    "PaymentAttempt",
    "PaymentEvent",
    "PaymentNotice",
    "PaymentReview",
    "Refund",
    "RefundEvent",
    "School",
    "SessionAddress",
    "Spec",
    "User",
    "Vendor",
    "Void",
    "WebhookDelivery",
]
