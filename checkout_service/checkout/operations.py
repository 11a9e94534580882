"""Opens a session: reads the cart and holds its pieces, calls the provider, inserts payment and session.

    read the key's answer or the cart, hold its pieces → provider.open → INSERT payment and session

Each is one statement. Pieces are held where stock is tracked. No transaction is open while the provider is called.
Concurrent retries that race compute the same payment id, so they share their holds, the provider makes one payment for
them and the unique keys let one of them in; whatever goes wrong, the key's answer is read again, and what is held goes
back if there is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from time import monotonic, sleep
from typing import Any, Final, NamedTuple
from uuid import UUID

from flask import Flask

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
    RateLimited,
    StillInProgress,
    TooMany,
    TooManyAtOnce,
    TooManyOpenSessions,
    TotalChanged,
    TotalTooLarge,
)
from checkout_service.carts.frozen import FrozenCart, FrozenLine
from checkout_service.checkout.beginning import Begun
from checkout_service.checkout.bounds import GUESTS, WAITING_OF_CALLER
from checkout_service.checkout.holding import Holding, not_held, sold_out
from checkout_service.checkout.inserting import Attempt, Inserted, insert_session
from checkout_service.checkout.payment_id import payment_id_for
from checkout_service.checkout.queries import GivenAnswer, answer_name, given_answer, kept_answer, remember
from checkout_service.checkout.request import Order
from checkout_service.database.engine import Conflict, constraint_of
from checkout_service.money import LARGEST, show, why_withdrawn
from checkout_service.providers.base import (
    Decline,
    Provider,
    ProviderError,
    ProviderRefusedError,
    ProviderUnavailableError,
)
from checkout_service.providers.factory import make_provider
from checkout_service.publishing.background_publisher import background_publisher
from checkout_service.publishing.events_wake_up import notify_of_events
from checkout_service.rates.limits import use_rates
from checkout_service.server.places import ShareFullError, places
from checkout_service.server.slots import TooManyWaitingError, released_slot
from checkout_service.settings.provider_accounts import Account
from checkout_service.settings.values import WebSettings
from checkout_service.stock.operations import HOLDS_EQUAL_LINES, HOLDS_IN_STOCK
from checkout_service.tasks import TaskName
from checkout_service.telemetry import logs, tracing
from checkout_service.telemetry.metrics import callers_refused_total

WAIT_FOR_RETRY: Final = 2.0
"""Seconds that a request waits for the answer of a concurrent retry, if the provider says that one is in progress."""

WAIT_FOR_WRITE: Final = 0.3
"""Seconds that it waits for a concurrent retry that has its payment already, and only has to store it."""


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
        if not isinstance(problem, RateLimited):  # who refuses that counts it
            callers_refused_total.labels(problem.slug).inc()
        raise


def _opened_or_replayed(
    order: Order, providers: Mapping[str, Provider], namespace: UUID, ttl: timedelta
) -> SessionAnswer:
    name_of_answer = answer_name(order.user_id, order.key)
    kept, limited = use_rates(order.bounds.rates, unless=name_of_answer)
    given = kept_answer(kept)
    if given is not None and answer_name(order.user_id, order.key, now=True) == name_of_answer:
        return _replayed(order, given)
    if limited is not None:
        return _from_concurrent_retry(order, limited, seconds=0)
    name = order.provider or next(iter(providers), "")
    payment_id = payment_id_for(namespace=namespace, user_id=order.user_id, key=order.key)
    holding = Holding(order, payment_id)
    with holding.kept_if_opened():
        begun = holding.begin(may_hold=name in providers)
        if begun.given is not None:
            remember(name_of_answer, begun.given)
            return _replayed(order, begun.given)
        cart = _payable(order, begun, providers)
        if begun.held is not None and (refused := not_held(begun.held)) is not None:
            return _from_concurrent_retry(order, refused, seconds=0)
        opening = order.opening(payment_id=payment_id, amount=cart.total_amount, currency=cart.currency)
        try:
            with (
                _waiting(order) if providers[name].asks else nullcontext(),
                tracing.calling(name, tracing.Call.OPEN),
            ):
                opened = providers[name].open(opening)
        except TooManyWaitingError:
            raise ProviderUnavailable from None
        except ProviderError as error:
            return _from_concurrent_retry(
                order, _provider_problem(error), seconds=WAIT_FOR_RETRY if _in_progress(error) else 0
            )
        if (opened.amount, opened.currency) != (cart.total_amount, cart.currency):
            return _from_concurrent_retry(order, AmountDiffers(), seconds=WAIT_FOR_WRITE)
        attempt = Attempt(order=order, cart=cart, payment_id=payment_id, provider=name, ttl=ttl, opened=opened)
        inserted = _inserted(attempt, holding)
        if isinstance(inserted, Problem):
            return _from_concurrent_retry(order, inserted, seconds=0)
    remember(name_of_answer, GivenAnswer(order.request_hash, inserted.answer))
    notify_of_events()
    for canceled in inserted.canceled:
        background_publisher().send(TaskName.CANCEL_PAYMENT, str(canceled), logs.request_id())
    return SessionAnswer(answer=inserted.answer, replayed=False)


def _inserted(attempt: Attempt, holding: Holding) -> Inserted | Problem:
    """The session that was inserted, or why none was. Holds that were lost meanwhile are taken once more.

    A concurrent retry that failed gave them back, the provider took longer than they stay, or the older session, whose
    pieces they stood in for, is being paid. As many retries may fail as one caller may have at a provider.
    """
    for _ in range(WAITING_OF_CALLER):
        try:
            return insert_session(attempt)
        except Conflict as error:
            if constraint_of(error) not in {HOLDS_EQUAL_LINES, HOLDS_IN_STOCK}:
                return ProviderFailed()
        if (refused := holding.take_again(attempt.cart)) is not None:
            return refused
    return CartChanged()


def _replayed(order: Order, given: GivenAnswer) -> SessionAnswer:
    if given.request_hash != order.request_hash:
        raise IdempotencyKeyReused
    return SessionAnswer(answer=given.answer, replayed=True)


def _payable(order: Order, begun: Begun, providers: Mapping[str, Provider]) -> FrozenCart:
    """The customer's cart, frozen, if they may pay it as it is. Nothing is held of one that is refused here."""
    if begun.full_for is not None:
        # The statement that opens a session counts as well. But a provider is not asked for one that cannot be opened.
        raise TooManyOpenSessions(retry_after=begun.full_for)
    if not providers:
        raise NoProvider
    if order.provider is not None and order.provider not in providers:
        raise Invalid(errors=[{"pointer": "/provider", "detail": f"One of: {', '.join(providers)}."}])
    cart = begun.cart
    if cart is None:
        raise NotFound("There is no such cart, or it is not yours.")
    if not cart.lines:
        raise EmptyCart
    gone = [line for line in cart.lines if not line.available]
    if gone:
        raise Invalid(
            "Some items of the cart are no longer for sale: remove them first.",
            errors=[{"pointer": "/cart_id", "detail": _gone(line)} for line in gone],
        )
    if len({line.currency for line in cart.lines}) > 1:
        raise MixedCurrencies
    if cart.total_amount > LARGEST:
        raise TotalTooLarge
    if order.expected_total is not None and order.expected_total != cart.total_amount:
        raise TotalChanged(total_amount=show(cart.total_amount, cart.currency), currency=cart.currency)
    if (short := sold_out(cart)) is not None:
        # Read without a lock, and nothing is tried: whoever comes late for a listing costs nobody anything.
        raise short
    return cart


def _gone(line: FrozenLine) -> str:
    why = why_withdrawn(line.currency)
    return f"Listing {line.listing_id} is no longer for sale" + (f": {why}." if why else ".")


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
        return AmountDiffers(
            "The provider knows this Idempotency-Key with another amount, buyer, address, description or return URL: "
            "use a new one."
        )
    if isinstance(error, ProviderRefusedError) and error.reason in {Decline.AMOUNT_REFUSED, Decline.CURRENCY_REFUSED}:
        detail = "This provider cannot take this amount in this currency."
        return Invalid(detail, errors=[{"pointer": "/cart_id", "detail": detail}])
    return ProviderUnavailable() if isinstance(error, ProviderUnavailableError) else ProviderFailed()


def _in_progress(error: ProviderError) -> bool:
    return isinstance(error, ProviderUnavailableError) and error.in_progress
