"""Opens a session: reads the cart, calls the provider, and inserts payment and session in one statement.

    read the key's answer → read the cart → provider.open → INSERT payment and session

No transaction is open while the provider is called. Concurrent retries that race compute the same payment id, so the
provider makes one payment for them and the unique keys let one of them in; whatever goes wrong, the key's answer is
read again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import cached_property
from time import monotonic, sleep
from typing import Any, Final, NamedTuple
from uuid import UUID

import orjson
from flask import Flask

from checkout_service.api.idempotency_key import request_hash
from checkout_service.api.problems import (
    AmountDiffers,
    CartChanged,
    EmptyCart,
    IdempotencyKeyReused,
    Invalid,
    MixedCurrencies,
    NoProvider,
    NotFound,
    Problem,
    ProviderFailed,
    ProviderUnavailable,
    StillInProgress,
    TooMany,
    TooManyAtOnce,
    TooManyOpenSessions,
    TotalChanged,
    TotalTooLarge,
)
from checkout_service.carts.queries import FrozenCart, cart_for_checkout
from checkout_service.checkout.bounds import GUESTS, Bounds
from checkout_service.checkout.open_sessions import OPEN_SESSIONS, bound_parameters
from checkout_service.checkout.payment_id import payment_id_for
from checkout_service.checkout.queries import GivenAnswer, answer_from, given_answer, known_before, remember
from checkout_service.database.engine import Conflict, execute
from checkout_service.database.statements import Statement
from checkout_service.money import LARGEST, show
from checkout_service.providers.base import (
    Decline,
    Opened,
    Provider,
    ProviderError,
    ProviderRefusedError,
    ProviderUnavailableError,
)
from checkout_service.providers.factory import make_provider
from checkout_service.server.places import ShareFullError, places
from checkout_service.server.slots import TooManyWaitingError, released_slot
from checkout_service.settings.provider_accounts import Account
from checkout_service.settings.values import WebSettings
from checkout_service.telemetry.metrics import callers_refused_total

WAIT_FOR_RETRY: Final = 2.0
"""Seconds that a request waits for the answer of a concurrent retry, if the provider says that one is in progress."""

WAIT_FOR_WRITE: Final = 0.3
"""Seconds that it waits for a concurrent retry that has its payment already, and only has to store it."""

# One row in any case. It holds no session where the caller has as many open as one may, nor of a cart that was paid
# since it was read: a payment ends its generation, and the lock that this takes waits for one that is being recorded.
_insert = Statement(f"""
    WITH {OPEN_SESSIONS}, cart AS (
        SELECT carts.generation FROM carts CROSS JOIN bound
        WHERE carts.id = :cart_id AND carts.generation = :generation AND bound.full_for IS NULL
        FOR SHARE OF carts
    ), payment AS (
        INSERT INTO payments (id, user_id, provider, provider_ref, amount, currency)
        SELECT :payment_id, :user_id, :provider, :provider_ref, :amount, :currency FROM cart
        RETURNING id, provider
    ), address AS (
        INSERT INTO session_addresses (payment_id, address, ends_at)
        SELECT id, CAST(:address AS bytea), now() + least(CAST(:ttl AS interval), interval '1 day')
        FROM payment WHERE CAST(:address AS bytea) IS NOT NULL
    ), session AS (
        INSERT INTO checkout_sessions
            (user_id, cart_id, generation, idempotency_key, request_hash, payment_id, payment_token, amount, currency,
            lines, expires_at)
        SELECT :user_id, :cart_id, cart.generation, :idempotency_key, :request_hash, payment.id, :payment_token,
            :amount, :currency, CAST(:lines AS jsonb), now() + CAST(:ttl AS interval)
        FROM payment CROSS JOIN cart
        RETURNING payment_id, payment_token, amount, currency, expires_at
    )
    SELECT session.*, payment.provider, bound.full_for
    FROM bound LEFT JOIN (session CROSS JOIN payment) ON true
""")  # noqa: S608 (only our own constants)


@dataclass(frozen=True, kw_only=True)
class Order:
    """The customer's request, and what they may have at once.

    ``expected_total`` is None if the customer did not send the total that they saw.
    """

    user_id: UUID
    key: str
    cart_id: UUID
    provider: str | None
    expected_total: Decimal | None
    bounds: Bounds

    @cached_property
    def request_hash(self) -> bytes:
        expected = None if self.expected_total is None else show(self.expected_total, None)
        return request_hash({"cart_id": str(self.cart_id), "provider": self.provider, "expected_total": expected})


def connect_providers(app: Flask, settings: WebSettings) -> None:
    """Give the app the providers that are on; the web tier has none of their webhook secrets."""
    app.extensions["providers"] = {
        name: make_provider(name, settings.accounts.get(name, Account())) for name in settings.payment_providers
    }


class SessionAnswer(NamedTuple):
    """The session as the API shows it, and whether that is the replay of an answer given before."""

    answer: dict[str, Any]
    replayed: bool


def open_session(*, order: Order, providers: Mapping[str, Provider], namespace: UUID, ttl: timedelta) -> SessionAnswer:
    """Open a session for the order's cart, or give the answer of its key again. Raises Problem.

    ``providers`` are those that are on; the first of them is the default.
    """
    try:
        return _opened_or_replayed(order, providers, namespace, ttl)
    except TooMany as problem:
        callers_refused_total.labels(problem.slug).inc()
        raise


def _opened_or_replayed(
    order: Order, providers: Mapping[str, Provider], namespace: UUID, ttl: timedelta
) -> SessionAnswer:
    given, full_for = known_before(user_id=order.user_id, key=order.key, bounds=order.bounds)
    if given is not None:
        return _replayed(order, given)
    if full_for is not None:
        # The statement that opens a session counts as well. But a provider is not asked for one that cannot be opened.
        raise TooManyOpenSessions(retry_after=full_for)
    if not providers:
        raise NoProvider
    name = order.provider or next(iter(providers))
    if name not in providers:
        raise Invalid(errors=[{"pointer": "/provider", "detail": f"One of: {', '.join(providers)}."}])
    cart = _payable(order)
    payment_id = payment_id_for(namespace=namespace, user_id=order.user_id, key=order.key)
    try:
        with _waiting(order) if providers[name].asks else nullcontext():
            opened = providers[name].open(payment_id=payment_id, amount=cart.total_amount, currency=cart.currency)
    except TooManyWaitingError:
        raise ProviderUnavailable from None
    except ProviderError as error:
        return _from_concurrent_retry(
            order, _provider_problem(error), seconds=WAIT_FOR_RETRY if _in_progress(error) else 0
        )
    if (opened.amount, opened.currency) != (cart.total_amount, cart.currency):
        return _from_concurrent_retry(order, AmountDiffers(), seconds=WAIT_FOR_WRITE)
    try:
        answer = _insert_session(order, cart, payment_id, name, opened, ttl)
    except Conflict:
        return _from_concurrent_retry(order, ProviderFailed(), seconds=0)
    if isinstance(answer, Problem):
        return _from_concurrent_retry(order, answer, seconds=0)
    remember(user_id=order.user_id, key=order.key, given=GivenAnswer(order.request_hash, answer))
    return SessionAnswer(answer=answer, replayed=False)


def _replayed(order: Order, given: GivenAnswer) -> SessionAnswer:
    if given.request_hash != order.request_hash:
        raise IdempotencyKeyReused
    return SessionAnswer(answer=given.answer, replayed=True)


def _payable(order: Order) -> FrozenCart:
    """The customer's cart, frozen, if it can be paid as it is."""
    cart = cart_for_checkout(user_id=order.user_id, cart_id=order.cart_id)
    if cart is None:
        raise NotFound("There is no such cart, or it is not yours.")
    if not cart.lines:
        raise EmptyCart
    gone = [str(line.listing_id) for line in cart.lines if not line.available]
    if gone:
        raise Invalid(
            "Some items of the cart are no longer for sale: remove them first.",
            errors=[{"pointer": "/cart_id", "detail": f"Listing {listing} is no longer for sale."} for listing in gone],
        )
    if len({line.currency for line in cart.lines}) > 1:
        raise MixedCurrencies
    if cart.total_amount > LARGEST:
        raise TotalTooLarge
    if order.expected_total is not None and order.expected_total != cart.total_amount:
        raise TotalChanged(total_amount=show(cart.total_amount, cart.currency), currency=cart.currency)
    return cart


def _insert_session(
    order: Order, cart: FrozenCart, payment_id: UUID, provider: str, opened: Opened, ttl: timedelta
) -> dict[str, Any] | Problem:
    """The answer of the session that was inserted, or why none was."""
    lines = [line.as_json() for line in cart.lines]
    (row,) = execute(
        _insert,
        {
            "payment_id": payment_id,
            "user_id": order.user_id,
            "provider": provider,
            "provider_ref": opened.provider_ref,
            "amount": opened.amount,
            "currency": opened.currency,
            "cart_id": order.cart_id,
            "generation": cart.generation,
            "idempotency_key": order.key,
            "request_hash": order.request_hash,
            "payment_token": opened.payment_token,
            "lines": orjson.dumps(lines).decode(),
            "ttl": ttl,
            **bound_parameters(order.bounds),
        },
    )
    if row.full_for is not None:
        return TooManyOpenSessions(retry_after=int(row.full_for))
    return CartChanged() if row.payment_id is None else answer_from(row)


def _from_concurrent_retry(order: Order, problem: Problem, *, seconds: float) -> SessionAnswer:
    """The answer that a concurrent retry with the same key was given; else raises the problem."""
    until = monotonic() + seconds
    while (given := given_answer(user_id=order.user_id, key=order.key)) is None:
        if monotonic() >= until:
            raise problem
        try:
            with _waiting(order):
                sleep(0.05)
        except TooManyWaitingError:
            raise problem from None
    return _replayed(order, given)


@contextmanager
def _waiting(order: Order) -> Iterator[None]:
    """Wait in a place of the caller's, with the slot released. Raises TooManyAtOnce and TooManyWaitingError."""
    try:
        with places().taken(order.bounds.shares), released_slot():
            yield
    except ShareFullError as full:
        # What other guests have is no fault of this one.
        raise (TooManyWaitingError if full.share == GUESTS else TooManyAtOnce) from None


def _provider_problem(error: ProviderError) -> Problem:
    if _in_progress(error):
        return StillInProgress()
    if isinstance(error, ProviderRefusedError) and error.reason is Decline.KEY_REUSED:
        return AmountDiffers()
    if isinstance(error, ProviderRefusedError) and error.reason in {Decline.AMOUNT_REFUSED, Decline.CURRENCY_REFUSED}:
        detail = "This provider cannot take this amount in this currency."
        return Invalid(detail, errors=[{"pointer": "/cart_id", "detail": detail}])
    return ProviderUnavailable() if isinstance(error, ProviderUnavailableError) else ProviderFailed()


def _in_progress(error: ProviderError) -> bool:
    return isinstance(error, ProviderUnavailableError) and error.in_progress
