"""Contains all the data models used in inputs/outputs"""

from .acceptance import Acceptance
from .acceptance_state import AcceptanceState
from .admin_export_orders_status import AdminExportOrdersStatus
from .admin_list_orders_status import AdminListOrdersStatus
from .admin_list_payments_status import AdminListPaymentsStatus
from .attempt import Attempt
from .authorization import Authorization
from .authorization_of_event import AuthorizationOfEvent
from .bank_entry import BankEntry
from .bank_entry_state import BankEntryState
from .buyer import Buyer
from .canceled_order import CanceledOrder
from .canceled_order_order_status import CanceledOrderOrderStatus
from .capped_line import CappedLine
from .capture import Capture
from .capture_of_event import CaptureOfEvent
from .capture_of_event_status import CaptureOfEventStatus
from .capture_request import CaptureRequest
from .capture_request_status import CaptureRequestStatus
from .capture_status import CaptureStatus
from .captures import Captures
from .cart import Cart
from .cart_item import CartItem
from .cart_listing import CartListing
from .client_secret import ClientSecret
from .client_secret_type import ClientSecretType
from .counted import Counted
from .currency import Currency
from .currency_currency import CurrencyCurrency
from .delivery import Delivery
from .delivery_address import DeliveryAddress
from .delivery_address_country import DeliveryAddressCountry
from .delivery_page import DeliveryPage
from .delivery_state import DeliveryState
from .delivery_type import DeliveryType
from .dispute import Dispute
from .dispute_page import DisputePage
from .dispute_stage import DisputeStage
from .dispute_status import DisputeStatus
from .endpoint import Endpoint
from .endpoint_changes import EndpointChanges
from .endpoint_changes_payload import EndpointChangesPayload
from .endpoint_changes_state import EndpointChangesState
from .endpoint_changes_types_type_0_item import EndpointChangesTypesType0Item
from .endpoint_page import EndpointPage
from .endpoint_payload import EndpointPayload
from .endpoint_signing import EndpointSigning
from .endpoint_state import EndpointState
from .endpoint_state_reason_type_0 import EndpointStateReasonType0
from .endpoint_with_secret import EndpointWithSecret
from .endpoint_with_secret_payload import EndpointWithSecretPayload
from .endpoint_with_secret_signing import EndpointWithSecretSigning
from .endpoint_with_secret_state import EndpointWithSecretState
from .endpoint_with_secret_state_reason_type_0 import EndpointWithSecretStateReasonType0
from .entry import Entry
from .entry_kind import EntryKind
from .entry_match import EntryMatch
from .entry_match_state import EntryMatchState
from .entry_match_subject import EntryMatchSubject
from .entry_page import EntryPage
from .entry_subject import EntrySubject
from .event import Event
from .event_data import EventData
from .event_object import EventObject
from .event_object_type import EventObjectType
from .event_page import EventPage
from .event_type import EventType
from .export_balance_entries_kind import ExportBalanceEntriesKind
from .export_balance_entries_match_state import ExportBalanceEntriesMatchState
from .export_balance_entries_withdrawn import ExportBalanceEntriesWithdrawn
from .export_payouts_state import ExportPayoutsState
from .export_payouts_status import ExportPayoutsStatus
from .fault import Fault
from .fulfilled_line import FulfilledLine
from .fulfilled_pieces import FulfilledPieces
from .fulfilment import Fulfilment
from .fulfilment_order_status import FulfilmentOrderStatus
from .get_listing_currency import GetListingCurrency
from .guest_cart import GuestCart
from .image import Image
from .list_balance_entries_kind import ListBalanceEntriesKind
from .list_balance_entries_match_state import ListBalanceEntriesMatchState
from .list_balance_entries_withdrawn import ListBalanceEntriesWithdrawn
from .list_disputes_status import ListDisputesStatus
from .list_listings_currency import ListListingsCurrency
from .list_listings_sort import ListListingsSort
from .list_payouts_state import ListPayoutsState
from .list_payouts_status import ListPayoutsStatus
from .list_webhook_endpoint_deliveries_state import ListWebhookEndpointDeliveriesState
from .list_webhook_endpoint_deliveries_type import ListWebhookEndpointDeliveriesType
from .list_webhook_endpoints_state import ListWebhookEndpointsState
from .listing import Listing
from .listing_of_event import ListingOfEvent
from .listing_of_event_attributes_type_0 import ListingOfEventAttributesType0
from .listing_page import ListingPage
from .merge import Merge
from .merge_how import MergeHow
from .merged_cart import MergedCart
from .named import Named
from .new_acceptance import NewAcceptance
from .new_cancellation import NewCancellation
from .new_capture import NewCapture
from .new_cart import NewCart
from .new_cart_currency import NewCartCurrency
from .new_endpoint import NewEndpoint
from .new_endpoint_payload import NewEndpointPayload
from .new_endpoint_signing import NewEndpointSigning
from .new_endpoint_types_type_0_item import NewEndpointTypesType0Item
from .new_fulfilment import NewFulfilment
from .new_item import NewItem
from .new_refund import NewRefund
from .new_refund_line import NewRefundLine
from .new_replay import NewReplay
from .new_replay_types_type_0_item import NewReplayTypesType0Item
from .no_action import NoAction
from .no_action_type import NoActionType
from .open_session import OpenSession
from .order import Order
from .order_buyer_type_0 import OrderBuyerType0
from .order_delivery_address_type_0 import OrderDeliveryAddressType0
from .order_line import OrderLine
from .order_now import OrderNow
from .order_now_status import OrderNowStatus
from .order_of_payment import OrderOfPayment
from .order_page import OrderPage
from .order_refund import OrderRefund
from .order_refund_status import OrderRefundStatus
from .order_status import OrderStatus
from .part import Part
from .payment import Payment
from .payment_page import PaymentPage
from .payment_status import PaymentStatus
from .payment_with_timeline import PaymentWithTimeline
from .payment_with_timeline_status import PaymentWithTimelineStatus
from .payout import Payout
from .payout_page import PayoutPage
from .payout_state import PayoutState
from .payout_status import PayoutStatus
from .payout_sum import PayoutSum
from .payout_sum_kind import PayoutSumKind
from .problem import Problem
from .provider_order import ProviderOrder
from .provider_order_type import ProviderOrderType
from .quantity import Quantity
from .read_payment import ReadPayment
from .read_payment_status import ReadPaymentStatus
from .read_session import ReadSession
from .read_session_status import ReadSessionStatus
from .redirect import Redirect
from .redirect_type import RedirectType
from .refund import Refund
from .refund_line import RefundLine
from .refund_made_by import RefundMadeBy
from .refund_of_event import RefundOfEvent
from .refund_of_event_made_by import RefundOfEventMadeBy
from .refund_of_event_status import RefundOfEventStatus
from .refund_part import RefundPart
from .refund_status import RefundStatus
from .refunded_line import RefundedLine
from .refunds import Refunds
from .replay import Replay
from .replay_page import ReplayPage
from .replay_state import ReplayState
from .rotated_secret import RotatedSecret
from .rotated_secret_payload import RotatedSecretPayload
from .rotated_secret_signing import RotatedSecretSigning
from .rotated_secret_state import RotatedSecretState
from .rotated_secret_state_reason_type_0 import RotatedSecretStateReasonType0
from .rotation import Rotation
from .rotation_signing import RotationSigning
from .session import Session
from .session_line import SessionLine
from .session_of_event import SessionOfEvent
from .session_of_event_status import SessionOfEventStatus
from .session_status import SessionStatus
from .settlement_exception import SettlementException
from .settlement_exception_kind import SettlementExceptionKind
from .settlement_file import SettlementFile
from .settlement_file_state import SettlementFileState
from .shown_cancellation import ShownCancellation
from .shown_delivery import ShownDelivery
from .shown_delivery_state import ShownDeliveryState
from .shown_fulfilment import ShownFulfilment
from .spec import Spec
from .spec_attributes import SpecAttributes
from .staff_fulfilment import StaffFulfilment
from .staff_line import StaffLine
from .staff_order import StaffOrder
from .staff_order_buyer_type_0 import StaffOrderBuyerType0
from .staff_order_delivery_address_type_0 import StaffOrderDeliveryAddressType0
from .staff_order_page import StaffOrderPage
from .staff_order_status import StaffOrderStatus
from .staff_payment import StaffPayment
from .staff_payment_page import StaffPaymentPage
from .staff_payment_review_reasons_item import StaffPaymentReviewReasonsItem
from .staff_payment_status import StaffPaymentStatus
from .test_sent import TestSent
from .test_sent_type import TestSentType
from .thin_object import ThinObject
from .thin_object_type import ThinObjectType
from .timeline_entry import TimelineEntry
from .timeline_entry_entries_item import TimelineEntryEntriesItem
from .timeline_entry_kind import TimelineEntryKind
from .vendor import Vendor
from .void import Void
from .void_status import VoidStatus
from .whole_order import WholeOrder
from .whole_order_buyer_type_0 import WholeOrderBuyerType0
from .whole_order_delivery_address_type_0 import WholeOrderDeliveryAddressType0
from .whole_order_status import WholeOrderStatus
from .whole_payment import WholePayment
from .whole_payment_review_reasons_item import WholePaymentReviewReasonsItem
from .whole_payment_status import WholePaymentStatus
from .whole_payout import WholePayout
from .whole_payout_state import WholePayoutState
from .whole_payout_status import WholePayoutStatus
from .whole_staff_order import WholeStaffOrder
from .whole_staff_order_buyer_type_0 import WholeStaffOrderBuyerType0
from .whole_staff_order_delivery_address_type_0 import WholeStaffOrderDeliveryAddressType0
from .whole_staff_order_status import WholeStaffOrderStatus
from .without_order import WithoutOrder
from .without_order_reason import WithoutOrderReason

__all__ = (
    "Acceptance",
    "AcceptanceState",
    "AdminExportOrdersStatus",
    "AdminListOrdersStatus",
    "AdminListPaymentsStatus",
    "Attempt",
    "Authorization",
    "AuthorizationOfEvent",
    "BankEntry",
    "BankEntryState",
    "Buyer",
    "CanceledOrder",
    "CanceledOrderOrderStatus",
    "CappedLine",
    "Capture",
    "CaptureOfEvent",
    "CaptureOfEventStatus",
    "CaptureRequest",
    "CaptureRequestStatus",
    "Captures",
    "CaptureStatus",
    "Cart",
    "CartItem",
    "CartListing",
    "ClientSecret",
    "ClientSecretType",
    "Counted",
    "Currency",
    "CurrencyCurrency",
    "Delivery",
    "DeliveryAddress",
    "DeliveryAddressCountry",
    "DeliveryPage",
    "DeliveryState",
    "DeliveryType",
    "Dispute",
    "DisputePage",
    "DisputeStage",
    "DisputeStatus",
    "Endpoint",
    "EndpointChanges",
    "EndpointChangesPayload",
    "EndpointChangesState",
    "EndpointChangesTypesType0Item",
    "EndpointPage",
    "EndpointPayload",
    "EndpointSigning",
    "EndpointState",
    "EndpointStateReasonType0",
    "EndpointWithSecret",
    "EndpointWithSecretPayload",
    "EndpointWithSecretSigning",
    "EndpointWithSecretState",
    "EndpointWithSecretStateReasonType0",
    "Entry",
    "EntryKind",
    "EntryMatch",
    "EntryMatchState",
    "EntryMatchSubject",
    "EntryPage",
    "EntrySubject",
    "Event",
    "EventData",
    "EventObject",
    "EventObjectType",
    "EventPage",
    "EventType",
    "ExportBalanceEntriesKind",
    "ExportBalanceEntriesMatchState",
    "ExportBalanceEntriesWithdrawn",
    "ExportPayoutsState",
    "ExportPayoutsStatus",
    "Fault",
    "FulfilledLine",
    "FulfilledPieces",
    "Fulfilment",
    "FulfilmentOrderStatus",
    "GetListingCurrency",
    "GuestCart",
    "Image",
    "ListBalanceEntriesKind",
    "ListBalanceEntriesMatchState",
    "ListBalanceEntriesWithdrawn",
    "ListDisputesStatus",
    "Listing",
    "ListingOfEvent",
    "ListingOfEventAttributesType0",
    "ListingPage",
    "ListListingsCurrency",
    "ListListingsSort",
    "ListPayoutsState",
    "ListPayoutsStatus",
    "ListWebhookEndpointDeliveriesState",
    "ListWebhookEndpointDeliveriesType",
    "ListWebhookEndpointsState",
    "Merge",
    "MergedCart",
    "MergeHow",
    "Named",
    "NewAcceptance",
    "NewCancellation",
    "NewCapture",
    "NewCart",
    "NewCartCurrency",
    "NewEndpoint",
    "NewEndpointPayload",
    "NewEndpointSigning",
    "NewEndpointTypesType0Item",
    "NewFulfilment",
    "NewItem",
    "NewRefund",
    "NewRefundLine",
    "NewReplay",
    "NewReplayTypesType0Item",
    "NoAction",
    "NoActionType",
    "OpenSession",
    "Order",
    "OrderBuyerType0",
    "OrderDeliveryAddressType0",
    "OrderLine",
    "OrderNow",
    "OrderNowStatus",
    "OrderOfPayment",
    "OrderPage",
    "OrderRefund",
    "OrderRefundStatus",
    "OrderStatus",
    "Part",
    "Payment",
    "PaymentPage",
    "PaymentStatus",
    "PaymentWithTimeline",
    "PaymentWithTimelineStatus",
    "Payout",
    "PayoutPage",
    "PayoutState",
    "PayoutStatus",
    "PayoutSum",
    "PayoutSumKind",
    "Problem",
    "ProviderOrder",
    "ProviderOrderType",
    "Quantity",
    "ReadPayment",
    "ReadPaymentStatus",
    "ReadSession",
    "ReadSessionStatus",
    "Redirect",
    "RedirectType",
    "Refund",
    "RefundedLine",
    "RefundLine",
    "RefundMadeBy",
    "RefundOfEvent",
    "RefundOfEventMadeBy",
    "RefundOfEventStatus",
    "RefundPart",
    "Refunds",
    "RefundStatus",
    "Replay",
    "ReplayPage",
    "ReplayState",
    "RotatedSecret",
    "RotatedSecretPayload",
    "RotatedSecretSigning",
    "RotatedSecretState",
    "RotatedSecretStateReasonType0",
    "Rotation",
    "RotationSigning",
    "Session",
    "SessionLine",
    "SessionOfEvent",
    "SessionOfEventStatus",
    "SessionStatus",
    "SettlementException",
    "SettlementExceptionKind",
    "SettlementFile",
    "SettlementFileState",
    "ShownCancellation",
    "ShownDelivery",
    "ShownDeliveryState",
    "ShownFulfilment",
    "Spec",
    "SpecAttributes",
    "StaffFulfilment",
    "StaffLine",
    "StaffOrder",
    "StaffOrderBuyerType0",
    "StaffOrderDeliveryAddressType0",
    "StaffOrderPage",
    "StaffOrderStatus",
    "StaffPayment",
    "StaffPaymentPage",
    "StaffPaymentReviewReasonsItem",
    "StaffPaymentStatus",
    "TestSent",
    "TestSentType",
    "ThinObject",
    "ThinObjectType",
    "TimelineEntry",
    "TimelineEntryEntriesItem",
    "TimelineEntryKind",
    "Vendor",
    "Void",
    "VoidStatus",
    "WholeOrder",
    "WholeOrderBuyerType0",
    "WholeOrderDeliveryAddressType0",
    "WholeOrderStatus",
    "WholePayment",
    "WholePaymentReviewReasonsItem",
    "WholePaymentStatus",
    "WholePayout",
    "WholePayoutState",
    "WholePayoutStatus",
    "WholeStaffOrder",
    "WholeStaffOrderBuyerType0",
    "WholeStaffOrderDeliveryAddressType0",
    "WholeStaffOrderStatus",
    "WithoutOrder",
    "WithoutOrderReason",
)
