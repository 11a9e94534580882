"""Paying: the form that opens a session, the way to the provider, and the page that shows what becomes of the money."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from flask import Response, current_app, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from checkout_service.api.callers import caller
from checkout_service.api.idempotency_key import read_key
from checkout_service.api.problems import Invalid, NotFound, Problem, TooMany, Unavailable
from checkout_service.checkout.bounds import bounds_of
from checkout_service.checkout.operations import open_session
from checkout_service.checkout.queries import session_of
from checkout_service.checkout.request import Order
from checkout_service.checkout.return_urls import PLACEHOLDER
from checkout_service.checkout.same_cart import payments_beside
from checkout_service.identity.guests import guest, remember_guest
from checkout_service.money import InvalidAmountError, parse_amount
from checkout_service.orders.queries import order_of_payment
from checkout_service.oversight.timeline import timeline_of
from checkout_service.pages import amounts, forms
from checkout_service.pages.base import PageBlueprint
from checkout_service.pages.cart_page import cart_page, shop_page
from checkout_service.pages.payment_status import around, headline
from checkout_service.pages.spans import SPAN, read_until, span_of
from checkout_service.pages.status_steps import status_steps
from checkout_service.pages.timeline_phrases import phrases
from checkout_service.payments.cancel_requests import NoLongerOpen, request_to_cancel
from checkout_service.payments.changes import LOOK, offers_to_wait, shares_of, version_of
from checkout_service.payments.next_action import ClientSecret, NextAction, ProviderOrder, Redirect, way_to_pay
from checkout_service.server.long_polls import LONGEST, answer_at_change
from checkout_service.settings.values import WebSettings
from checkout_service.spellings import parse_id
from checkout_service.telemetry.metrics import sessions_total

blueprint = PageBlueprint("paying", __name__)
blueprint.after_request(remember_guest)

PAGES_SEARCHED: Final = 2
"""Pages of webhooks that one look at a payment goes through: in a busy house the newest of its webhooks may be missing,
but a customer who watches must not cost more than this."""

LARGEST_SEARCHED: Final = 16 * 1024
"""Bytes of a webhook that is searched for the payment. Anybody can send larger ones by the thousand."""

JUST_BEFORE: Final = timedelta(minutes=1)


@blueprint.post("/checkout")
@guest
def check_out() -> BaseResponse:
    """Open a session for the cart, once for each key however often the form is sent, and go on to the provider."""
    user_id = caller().user_id
    forms.check(str(user_id))
    settings: WebSettings = current_app.extensions["settings"]
    key = read_key(request.form.get("key"))
    try:
        opened = open_session(
            order=Order(
                user_id=user_id,
                key=key,
                provider=None,
                return_url=_way_back(settings),
                bounds=bounds_of(caller(), request.environ, settings),
                **_read_form(),
            ),
            providers=current_app.extensions["providers"],
            namespace=settings.payment_namespace,
            ttl=settings.session_ttl,
        )
    except Problem as problem:
        # Where nothing was decided, the same attempt goes on; where it was, trying again is another one.
        return cart_page(problem, key=key if isinstance(problem, Unavailable | TooMany) else None)
    answer = opened.answer
    way = _way_to_pay(answer["provider"], answer["payment_token"])
    sessions_total.labels(outcome="replayed" if opened.replayed else "opened").inc()
    # Where another payment of the cart is under way, they read of it before they pay.
    direct = isinstance(way, Redirect) and not answer.get("also_under_way")
    onward = "paying.leave" if direct else "paying.show_payment"
    return redirect(url_for(onward, payment_id=answer["payment_id"]), 303)


@blueprint.post("/pay/<uuid:payment_id>/cancel")
@guest
def cancel(payment_id: UUID) -> BaseResponse:
    """Ask to have the payment canceled, as the API does it; its page tells what becomes of that."""
    forms.check(str(caller().user_id))
    with suppress(NoLongerOpen):
        request_to_cancel(payment_id=payment_id, user_id=caller().user_id, anybodys=False)
    return redirect(url_for("paying.show_payment", payment_id=payment_id), 303)


@blueprint.get("/pay/<uuid:payment_id>/leave")
@guest
def leave(payment_id: UUID) -> str | BaseResponse:
    """On to the provider's own page, if there is anything left to pay.

    A form may not lead to another site, so this page does.
    """
    session = session_of(payment_id=payment_id, user_id=caller().user_id)
    if session and not session.status.open:
        return redirect(url_for("paying.show_payment", payment_id=payment_id), 303)
    way = _way_to_pay(session.provider, session.payment_token) if session else None
    if not isinstance(way, Redirect):
        raise NotFound("There is no such payment, or it is not yours.")
    return shop_page("shop/leave.html", onward=way.url)


@blueprint.get("/pay/<uuid:payment_id>")
@guest
def show_payment(payment_id: UUID) -> str:
    """What became of the money, and how; the page watches by itself."""
    content, context = _news(payment_id)
    answer = Response(content)
    answer.add_etag(weak=True)
    return shop_page(
        "shop/payment.html",
        news=content,
        etag=answer.headers["ETag"],
        until=read_until(request.args.get("until")),
        **context,
    )


@blueprint.get("/pay/<uuid:payment_id>/news")
@guest
def show_news(payment_id: UUID) -> Response:
    """The part of the payment's page that changes; 304 while it does not, after so many seconds of ``wait``."""
    seconds = _read_wait(request.args.get("wait", ""))
    waits = offers_to_wait(seconds)
    version = version_of(payment_id) if waits else 0
    content, _ = _news(payment_id)
    answer = Response(content, content_type="text/html; charset=utf-8")
    answer.headers["Cache-Control"] = "private, no-cache"
    answer.add_etag(weak=True)
    answer.make_conditional(request)
    if not waits or answer.status_code != HTTPStatus.NOT_MODIFIED:
        return answer
    shares = shares_of(caller(), request.environ)
    return answer_at_change(answer, look=LOOK, subject=payment_id, version=version, seconds=seconds, shares=shares)


def _read_wait(text: str) -> int:
    """How long the page's script waits. It is ours, so anything else is none of it."""
    return min(int(text), LONGEST) if len(text) < 4 and text.isascii() and text.isdigit() else 0


def _news(payment_id: UUID) -> tuple[str, dict[str, Any]]:
    user_id = caller().user_id
    timeline = timeline_of(payment_id, owner=user_id, pages=PAGES_SEARCHED, largest=LARGEST_SEARCHED, early=JUST_BEFORE)
    if timeline is None:
        raise NotFound("There is no such payment, or it is not yours.")
    payment = timeline.payment
    session = session_of(payment_id=payment_id, user_id=user_id)
    amounts.follow(session.buyer if session else None)
    others = payments_beside(payment_id=payment_id, user_id=user_id)
    order = order_of_payment(payment_id=payment_id, user_id=user_id)
    way = _way_to_pay(session.provider, session.payment_token) if session else None
    known = around(timeline, others=others, order=order)
    until = read_until(request.args.get("until"))
    context = {
        "payment": payment,
        "session": session,
        "headline": headline(payment, around=known, write=amounts.write),
    }
    content = render_template(
        "shop/news.html",
        steps=status_steps(payment.status, timeline.events()),
        shown=span_of(phrases(timeline, write=amounts.write), until=until),
        unfolded=until is not None,
        most_lines=SPAN,
        order=order,
        under_way=known.under_way,
        provider_page=way.url if isinstance(way, Redirect) else None,
        needs_component=isinstance(way, ClientSecret | ProviderOrder),
        csrf=forms.token(str(user_id)),
        **context,
    )
    return content, context


def _read_form() -> dict[str, Any]:
    """What the form asks to pay: the cart, and the total that the customer saw."""
    try:
        cart_id = parse_id(request.form.get("cart", ""))
        return {"cart_id": cart_id, "expected_total": parse_amount(request.form.get("total", ""))}
    except (ValueError, InvalidAmountError) as error:
        raise Invalid("This form is not complete: go back to your cart and send it from there.") from error


def _way_to_pay(provider: str, payment_token: str) -> NextAction:
    """How the customer pays, as the provider's adapter says; a component of the provider's is no part of this shop."""
    return way_to_pay(current_app.extensions["providers"], provider=provider, payment_token=payment_token)


def _way_back(settings: WebSettings) -> str | None:
    """The address of the payment's page, for a provider to send the customer back to. None: the account's own counts.

    In production that is where nobody says that the customer came by https: plaintext could lead them anywhere, and
    brings no cookie along. It has a place for the id, which is computed of the request.
    """
    if settings.production and not request.is_secure:
        return None
    nobody = UUID(int=0)
    return url_for("paying.show_payment", payment_id=nobody, _external=True).replace(str(nobody), PLACEHOLDER)
