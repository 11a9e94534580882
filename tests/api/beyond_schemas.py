"""What no schema can say of a request: why a request that is valid by the document may be refused with 422.

Schemathesis takes such an answer for a fault. Each entry names operations, the member and the words of the refusal,
so that any other refusal of what is valid by the document is found.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Beyond:
    """One rule that stands beside the schemas."""

    reason: str
    operations: tuple[str, ...]
    detail: str
    """A regular expression for what the refusal says."""
    pointer: str = ""
    """A regular expression for the member."""
    slug: str = "invalid"

    def has(self, operation: str, slug: str, pointer: str, detail: str) -> bool:
        return (
            operation in self.operations
            and slug == self.slug
            and re.fullmatch(self.pointer, pointer) is not None
            and re.match(self.detail, detail) is not None
        )


CUSTOMERS_LISTS: Final = ("adminListOrders", "adminExportOrders", "adminListPayments")

BEYOND: Final[tuple[Beyond, ...]] = (
    Beyond(
        reason="OpenAPI cannot say that of two parameters one may be there.",
        operations=CUSTOMERS_LISTS,
        pointer="/subject",
        detail=r"Give customer or subject, not both\.",
    ),
    Beyond(
        reason="A cursor comes from the page before; a parameter has no schema that says from which.",
        operations=(
            *("listListings", "listOrders", "listPayments", "listDisputes", "adminListOrders", "adminListPayments"),
            *("listWebhookEndpoints", "listWebhookEndpointDeliveries", "listEventReplays"),
            *("listPayouts", "listBalanceEntries"),
        ),
        pointer="/cursor",
        detail=r"Not a cursor of this list",
    ),
    Beyond(
        reason="The same of the cursor of a payment's timeline.",
        operations=("getPayment", "adminGetPayment"),
        pointer="/before",
        detail=r"Not a cursor of this timeline\.",
    ),
    Beyond(
        reason="Which days a month has, a pattern says of no leap year.",
        operations=(
            *(*CUSTOMERS_LISTS, "listDisputes", "replayEvents"),
            *("listPayouts", "exportPayouts", "listBalanceEntries", "exportBalanceEntries"),
        ),
        pointer="/((arrival_|occurred_)?(since|until)|updated_after|due_before)",
        detail=r"A day such as",
    ),
    Beyond(
        reason="An amount above another.",
        operations=("listListings",),
        pointer="/price_min",
        detail=r"More than price_max\.",
    ),
    Beyond(
        reason="A list in one parameter, whose words may come once each; and which types there are grows.",
        operations=("listEvents",),
        pointer="/types",
        detail=r"Types of events such as",
    ),
    Beyond(
        reason="JSON Schema takes 2.0 for a whole number. A client that means pieces writes 2.",
        operations=(
            *("addCartItem", "setCartItemQuantity", "createFulfilment", "createRefund"),
            "rotateWebhookEndpointSecret",
        ),
        pointer=r"/(qty|expires_in|lines/\d+/qty)",
        detail=r"Not a valid integer\.",
    ),
    Beyond(
        reason="What is printable is a property of characters; patterns of clients know ASCII alone by such.",
        operations=(
            *("createFulfilment", "cancelOrder", "createRefund", "acceptPaymentAmount"),
            *("createWebhookEndpoint", "updateWebhookEndpoint", "openCheckoutSession"),
        ),
        pointer=r"/(reason|why|carrier|tracking|description|buyer/\w+|delivery_address/\w+)",
        detail=r"A reason is printable text|It is printable text|This is blank|A control character|A character that",
    ),
    Beyond(
        reason="What a mail server takes goes beyond ASCII, and the document's pattern is what every client can read.",
        operations=("openCheckoutSession",),
        pointer="/buyer/email",
        detail=r"This is no e-mail address\.|A character that is not seen",
    ),
    Beyond(
        reason="A pattern of amounts above nothing would be long; and which decimals there are, the currency says.",
        operations=("createRefund", "createCapture", "acceptPaymentAmount", "listListings", "openCheckoutSession"),
        pointer="/(amount|price_min|price_max|expected_total)",
        detail=r"An? \w+ is of more than nothing\.|Nothing cannot be accepted\.|[A-Z]{3} has no such small unit\.",
    ),
    Beyond(
        reason="A key that was sent before with another body: Schemathesis sends the document's example with all.",
        operations=(
            "createFulfilment",
            "cancelOrder",
            "createRefund",
            "acceptPaymentAmount",
            "replayEvents",
            "createCapture",
            "voidPayment",
            "openCheckoutSession",
        ),
        detail=r"This (Idempotency-Key|key) belongs to another request",
        slug="idempotency-key-reused",
    ),
    Beyond(
        reason="Which lines an order has, is in the database.",
        operations=("createFulfilment", "createRefund"),
        pointer=r"/lines/\d+/line_id",
        detail=r"This order has no such line|This line is named before|The order that this payment paid has no",
    ),
    Beyond(
        reason="Which money came by a payment, is in the database.",
        operations=("createRefund", "createCapture"),
        pointer="/(capture_id|authorization_id)",
        detail=r"No money of this payment came by it\.",
    ),
    Beyond(
        reason="One member in place of the other: a schema of that would be a union in clients.",
        operations=("createRefund",),
        pointer="/lines",
        detail=r"A refund is of an amount or of lines\.",
    ),
    Beyond(
        reason="Which hosts and ports may be written to: sixteen rules with words of their own.",
        operations=("createWebhookEndpoint", "updateWebhookEndpoint"),
        pointer="/url",
        detail=r".+",
    ),
    Beyond(
        reason="Versions come with releases: an enum would make a client refuse the next.",
        operations=("createWebhookEndpoint", "updateWebhookEndpoint"),
        pointer="/api_version",
        detail=r"There is no such version\.",
    ),
    Beyond(
        reason="One event or all since a moment: a schema of that would be a union in clients; and which are kept.",
        operations=("replayEvents",),
        pointer="/(event_id|since)",
        detail=r"It stands alone|Missing data for required field|No event of this id is kept",
    ),
    Beyond(
        reason="Which providers are on, the deployment says.",
        operations=("openCheckoutSession",),
        pointer="/provider",
        detail=r"One of: ",
    ),
    Beyond(
        reason="Control characters name nobody: byte by byte as the identity provider has it, but for these.",
        operations=CUSTOMERS_LISTS,
        pointer="/subject",
        detail=r"It holds a control character\.",
    ),
    Beyond(
        reason="Of which origins they may be, the deployment says.",
        operations=("openCheckoutSession",),
        pointer="/(return_url|cancel_url)",
        detail=r"This is no address as|This shop sends nobody back",
        slug="return-url-refused",
    ),
    Beyond(
        reason="What is in the cart, is in the database.",
        operations=("openCheckoutSession",),
        pointer="/cart_id",
        detail=r"The cart has nothing in it that can be bought",
        slug="empty-cart",
    ),
)
"""Of several that fit, the first counts."""
