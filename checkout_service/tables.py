"""Every table, for those who need the whole of the metadata: migrations, and queries that join across rooms."""

from checkout_service.captures.models import Capture, CaptureRequest, Void
from checkout_service.carts.models import Cart, CartItem, User
from checkout_service.catalog.models import CatalogSync, Listing, School, SourceListing, Spec, Vendor
from checkout_service.checkout.models import CheckoutSession, SessionAddress
from checkout_service.commands.models import CommandResult, CommandRun, OperatorCommand
from checkout_service.disputes.models import Dispute
from checkout_service.endpoints.models import (
    EndpointSecret,
    EventAttempt,
    EventReplay,
    PendingDelivery,
    WebhookEndpoint,
)
from checkout_service.events.models import (
    Event,
    EventDay,
    EventDue,
    EventNumber,
    EventSeries,
    EventTypeNumber,
    UnsequencedEvents,
)
from checkout_service.identity.models import ApiKey, Guest
from checkout_service.orders.models import (
    Fulfilment,
    Order,
    OrderCancellation,
    OrderLine,
    OrderNumber,
    OrderReason,
    RefundLine,
)
from checkout_service.payments.entry_models import PaymentAcceptance, PaymentAttempt, PaymentNotice, PaymentReview
from checkout_service.payments.models import CancelRequest, Payment, PaymentEvent, PaymentMate
from checkout_service.privacy.models import Erasure
from checkout_service.refunds.models import Refund, RefundEvent
from checkout_service.settlements.mark_models import SettlementMark
from checkout_service.settlements.models import (
    BalanceEntry,
    Payout,
    SettlementAccount,
    SettlementFile,
    SettlementLease,
    SettlementLine,
    SettlementMatch,
)
from checkout_service.stock.models import Hold, StockCounter
from checkout_service.webhooks.models import BelievedCertificate, WebhookDelivery

__all__ = [
    "ApiKey",
    "BalanceEntry",
    "BelievedCertificate",
    "CancelRequest",
    "Capture",
    "CaptureRequest",
    "Cart",
    "CartItem",
    "CatalogSync",
    "CheckoutSession",
    "CommandResult",
    "CommandRun",
    "Dispute",
    "EndpointSecret",
    "Erasure",
    "Event",
    "EventAttempt",
    "EventDay",
    "EventDue",
    "EventNumber",
    "EventReplay",
    "EventSeries",
    "EventTypeNumber",
    "Fulfilment",
    "Guest",
    "Hold",
    "Listing",
    "OperatorCommand",
    "Order",
    "OrderCancellation",
    "OrderLine",
    "OrderNumber",
    "OrderReason",
    "Payment",
    "PaymentAcceptance",
    "PaymentAttempt",
    "PaymentEvent",
    "PaymentMate",
    "PaymentNotice",
    "PaymentReview",
    "Payout",
    "PendingDelivery",
    "Refund",
    "RefundEvent",
    "RefundLine",
    "School",
    "SessionAddress",
    "SettlementAccount",
    "SettlementFile",
    "SettlementLease",
    "SettlementLine",
    "SettlementMark",
    "SettlementMatch",
    "SourceListing",
    "Spec",
    "StockCounter",
    "UnsequencedEvents",
    "User",
    "Vendor",
    "Void",
    "WebhookDelivery",
    "WebhookEndpoint",
]
