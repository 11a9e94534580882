"""The error tree: every expected failure has a name, a status, and a sentence that says what to do.

    Problem
    ├── 400  MissingIdempotencyKey  MalformedIdempotencyKey  MalformedBody  MalformedHost  UnknownApiVersion
    ├── 401  Unauthorized
    ├── 403  Forbidden
    ├── 404  NotFound
    ├── 409  TotalChanged  CartChanged  OutOfStock  AmountDiffers  CurrencyMismatch
    ├── 412  PreconditionFailed
    ├── 413  TooLarge
    ├── 415  EncodedBody
    ├── 422  Invalid  IdempotencyKeyReused  EmptyCart  CartFull  MixedCurrencies  TotalTooLarge
    ├── 429  TooMany
    │        └── TooManyAtOnce  TooManyOpenSessions  TooManyHeldPieces  RateLimited
    ├── 501  UnknownTransferCoding
    ├── 502  ProviderFailed
    └── 503  Unavailable
             ├── DatabaseUnavailable
             │    └── DatabaseLocked
             ├── ProviderUnavailable
             ├── StillInProgress  NoProvider
             └── TooManyBodies  TooManyWaiting

Problems of one room alone are defined in that room. ``problem_documents`` renders all of them (RFC 9457).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from checkout_service.api_versions import API_VERSIONS


class Problem(Exception):  # noqa: N818 (RFC 9457 calls it that)
    """An expected failure. ``slug`` makes its stable type; ``detail`` says what to do about it.

    ``pointer`` names the member of the request that is at fault (a JSON Pointer, RFC 6901), if it is always the same.
    ``example`` are members of its own, for the documentation: all of them. ``everywhere`` is true of what any operation
    may be answered.
    """

    status: ClassVar[int] = 500
    slug: ClassVar[str] = "problem"
    title: ClassVar[str] = "Problem"
    default_detail: ClassVar[str] = ""
    pointer: ClassVar[str | None] = None
    example: ClassVar[Mapping[str, Any]] = {}
    everywhere: ClassVar[bool] = False

    def __init__(
        self,
        detail: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        errors: list[dict[str, str]] | None = None,
        **members: Any,
    ) -> None:
        self.detail = detail or self.default_detail
        self.headers = dict(headers or {})
        self.errors = errors or ([{"pointer": self.pointer, "detail": self.detail}] if self.pointer else None)
        self.members = members
        super().__init__(self.detail)


class MissingIdempotencyKey(Problem):
    status = 400
    slug = "missing-idempotency-key"
    title = "Missing Idempotency-Key"
    default_detail = "Send an Idempotency-Key header: a fresh key for each purchase, the same key for each retry of it."


class MalformedIdempotencyKey(Problem):
    status = 400
    slug = "malformed-idempotency-key"
    title = "Malformed Idempotency-Key"
    default_detail = (
        "An Idempotency-Key is 1 to 255 visible ASCII characters, bare or in double quotes; a bare one has no comma."
    )


class MalformedBody(Problem):
    everywhere = True
    status = 400
    slug = "malformed-body"
    title = "Malformed body"
    default_detail = "The body cannot be read as what this path takes."


class MalformedHost(Problem):
    everywhere = True
    status = 400
    slug = "malformed-host"
    title = "Malformed Host"
    default_detail = "Send one Host header with the host that you mean, and its port."


class UnknownApiVersion(Problem):
    """``versions`` are those that a request may name, the oldest first."""

    everywhere = True
    example: ClassVar[Mapping[str, Any]] = {"versions": list(API_VERSIONS.names)}
    status = 400
    slug = "unknown-api-version"
    title = "Unknown version of the API"
    default_detail = (
        "The API-Version header names no version that this release knows: send one of these, or leave it out."
    )


class Unauthorized(Problem):
    everywhere = True
    status = 401
    slug = "unauthorized"
    title = "Unauthorized"
    default_detail = "Send an Authorization header: Bearer and a valid token."


UNREADABLE_AUTHORIZATION: Final = (
    "The Authorization header arrived, and could not be read: it is empty, or holds characters beyond ASCII."
)


class Forbidden(Problem):
    status = 403
    slug = "forbidden"
    title = "Forbidden"
    default_detail = "The token does not allow this."


class NotFound(Problem):
    status = 404
    slug = "not-found"
    title = "Not found"
    default_detail = "There is no such thing here, or it is not yours."


class TotalChanged(Problem):
    status = 409
    slug = "total-changed"
    title = "The total has changed"
    default_detail = "The cart's total is not the expected one: show the customer the new total and ask again."
    example: ClassVar[Mapping[str, Any]] = {"total_amount": "245.00", "currency": "USD"}


class CartChanged(Problem):
    status = 409
    slug = "cart-changed"
    title = "The cart changed meanwhile"
    default_detail = (
        "This cart was paid, or something of it changed, while the session was being opened: show it again, and ask "
        "with a new key."
    )


class OutOfStock(Problem):
    """``lines`` names each line that is short: its listing, how many were asked for, and how many are available."""

    status = 409
    slug = "out-of-stock"
    title = "Out of stock"
    default_detail = (
        "There are fewer pieces than the cart asks for: see lines. Take fewer, or take the line out, and ask with a "
        "new key."
    )
    example: ClassVar[Mapping[str, Any]] = {
        "lines": [{"listing": "018f0000-0000-7000-8000-000000000101", "wanted": 2, "available": 1}]
    }


class AmountDiffers(Problem):
    status = 409
    slug = "amount-differs"
    title = "The provider holds another amount"
    default_detail = "Another attempt with this key opened the payment with another amount: use a new Idempotency-Key."


class CurrencyMismatch(Problem):
    status = 409
    slug = "currency-mismatch"
    title = "Another currency"
    default_detail = (
        "The cart is priced in another currency, and nothing is converted. A listing needs a price in that one; and it "
        "can be changed while the cart is empty."
    )


class PreconditionFailed(Problem):
    everywhere = True
    status = 412
    slug = "precondition-failed"
    title = "Precondition failed"
    default_detail = (
        "If-Match names another ETag than this has, or a weak one, so nothing was done. What is changed here has none."
    )


class TooLarge(Problem):
    everywhere = True
    status = 413
    slug = "too-large"
    title = "Body too large"
    default_detail = "The body is larger than this path takes."


class EncodedBody(Problem):
    """RFC 9110, section 15.5.16, has the answer name the codings that are taken."""

    everywhere = True
    status = 415
    slug = "encoded-body"
    title = "Encoded body"
    default_detail = "The body has a Content-Encoding: send it without one."

    def __init__(self) -> None:
        super().__init__(headers={"Accept-Encoding": "identity"})


class Invalid(Problem):
    everywhere = True
    status = 422
    slug = "invalid"
    title = "Invalid request"
    default_detail = "Some members of the request are not valid; see errors."


class IdempotencyKeyReused(Problem):
    status = 422
    slug = "idempotency-key-reused"
    title = "Idempotency-Key reused"
    default_detail = "This Idempotency-Key belongs to another request: use a new key for a new request."


class EmptyCart(Problem):
    status = 422
    slug = "empty-cart"
    pointer = "/cart_id"
    title = "Empty cart"
    default_detail = "The cart has nothing in it that can be bought: add an item first."


class CartFull(Problem):
    status = 422
    slug = "cart-full"
    pointer = "/listing"
    title = "Cart full"
    default_detail = "The cart holds as many different items as a cart may: remove one first."


class MixedCurrencies(Problem):
    status = 422
    slug = "mixed-currencies"
    pointer = "/cart_id"
    title = "Mixed currencies"
    default_detail = "The cart holds items of several currencies: a payment has one, so buy them apart."


class TotalTooLarge(Problem):
    status = 422
    slug = "total-too-large"
    pointer = "/cart_id"
    title = "Total too large"
    default_detail = "The total is more than 99999999.99, the largest amount of one payment: buy less at once."


class TooMany(Problem):
    """This caller has as many of something as one may have, and nobody else is meant: nothing was decided.

    The same request may be sent again after ``retry_after`` seconds, which is at least 1.
    """

    status = 429
    slug = "too-many-requests"
    title = "Too many requests"
    default_detail = "Wait for as long as Retry-After says, and send the same request again."

    def __init__(self, detail: str | None = None, *, retry_after: int = 1) -> None:
        super().__init__(detail, headers={"Retry-After": str(max(retry_after, 1))})


class TooManyAtOnce(TooMany):
    everywhere = True
    slug = "too-many-at-once"
    title = "Too many requests at once"
    default_detail = "As many of your requests as may wait at once do so already: send this one again when one is done."


class TooManyOpenSessions(TooMany):
    slug = "too-many-open-sessions"
    title = "Too many open sessions"
    default_detail = (
        "As many sessions as you may have open are neither paid nor ended: pay or cancel one of them, or wait until "
        "one ends."
    )


class RateLimited(TooMany):
    slug = "rate-limited"
    title = "Too often"
    default_detail = "You did this as often as one may within a while. RateLimit says what is used up, and until when."


class TooManyHeldPieces(TooMany):
    slug = "too-many-held-pieces"
    title = "Too many held pieces"
    default_detail = (
        "Your open sessions hold as many pieces of stock as you may hold at once: pay or cancel one of them, or wait "
        "until one ends."
    )


class UnknownTransferCoding(Problem):
    """RFC 9112, section 6.1, gives this status."""

    status = 501
    slug = "unknown-transfer-coding"
    title = "Unknown transfer coding"
    default_detail = "The body comes in a Transfer-Encoding other than chunked: send it without one."


class ProviderFailed(Problem):
    status = 502
    slug = "provider-failed"
    title = "The payment provider failed"
    default_detail = "The payment provider refused or answered something unreadable; nothing was charged."


class Unavailable(Problem):
    """Nothing was decided: the same request may be sent again after ``Retry-After`` seconds."""

    status = 503
    slug = "unavailable"
    title = "Unavailable"
    default_detail = "The service cannot answer right now: send the same request again."
    retry_after: ClassVar[int] = 1

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail, headers={"Retry-After": str(self.retry_after)})


class DatabaseUnavailable(Unavailable):
    everywhere = True
    slug = "database-unavailable"
    title = "The database is unavailable"
    default_detail = "Nothing was kept of this request: send it again."


class DatabaseLocked(DatabaseUnavailable):
    """Somebody holds the rows that this one statement needs; the database is there for all others."""

    everywhere = True
    slug = "database-locked"
    title = "Held by another transaction"
    default_detail = "Another transaction holds what this one needs; nothing was kept of this request: send it again."


class ProviderUnavailable(Unavailable):
    slug = "provider-unavailable"
    title = "The payment provider is unavailable"
    default_detail = "The payment provider did not answer: send the same request with the same Idempotency-Key again."


class StillInProgress(Unavailable):
    slug = "still-in-progress"
    title = "Still in progress"
    default_detail = "Another request with this Idempotency-Key is being worked on: send it again."


class NoProvider(Unavailable):
    slug = "no-provider"
    title = "No payment provider is on"
    default_detail = "No payment provider is on, so nothing can be paid for the moment: the cart is kept."
    retry_after = 300


class TooManyBodies(Unavailable):
    everywhere = True
    slug = "too-many-bodies"
    title = "Too many bodies at once"
    default_detail = "Too many requests are being received at this moment; this one was not read: send it again."


class TooManyWaiting(Unavailable):
    """More requests wait for a slot than can be answered in time."""

    everywhere = True
    slug = "too-many-waiting"
    title = "Too many requests wait"
    default_detail = "Too many requests wait at this moment; nothing was done with this one: send it again."


class TooManyReaders(Unavailable):
    """As many large answers as a process holds are being read, and this one has no place beside them."""

    everywhere = True
    slug = "too-many-readers"
    title = "Too many large answers are being read"
    default_detail = "Too many large answers are being read at this moment: send the same request again."
