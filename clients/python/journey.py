"""A journey with this client against a service that runs: buy as a guest and as a customer, watch, refund, read events,
verify webhooks. It prints what it did as JSON, and fails by an AssertionError.

The environment names the service (CHECKOUT_URL), a customer's token (CUSTOMER_TOKEN) and an API key (API_KEY) with the
scopes refunds, payments:read, events:read and webhooks:write. The provider is the mock one.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from threading import Thread
from uuid import UUID, uuid4

import httpx
from checkout_client import (
    Client,
    PaymentUnchangedError,
    ProblemError,
    each,
    each_async,
    wait_for_payment,
    wait_for_payment_async,
)
from checkout_client.api.cart import add_cart_item, empty_cart, get_cart
from checkout_client.api.checkout import open_checkout_session
from checkout_client.api.events import list_events
from checkout_client.api.guest_carts import create_guest_cart
from checkout_client.api.listings import list_listings
from checkout_client.api.orders import get_order
from checkout_client.api.payments import get_payment, list_payments
from checkout_client.api.refunds import create_refund, list_refunds
from checkout_client.api.webhook_endpoints import create_webhook_endpoint, delete_webhook_endpoint
from checkout_client.models import (
    Buyer,
    Event,
    Listing,
    NewCart,
    NewEndpoint,
    NewItem,
    NewRefund,
    OpenSession,
    Redirect,
    Session,
    StaffPayment,
)
from standardwebhooks import Webhook, WebhookVerificationError
from svix.webhooks import Webhook as SvixWebhook

PATIENCE = 60.0
"""Seconds for what takes a moment: a busy machine has its time."""


@dataclass(frozen=True)
class Posted:
    """A webhook as it came."""

    headers: dict[str, str]
    body: bytes


def main() -> None:
    base_url = os.environ["CHECKOUT_URL"]
    key = os.environ["API_KEY"]
    with (
        Client(base_url) as stranger,
        Client(base_url, token=os.environ["CUSTOMER_TOKEN"]) as customer,
        Client(base_url, api_key=key) as staff,
        receiver() as (address, posted),
    ):
        endpoint = create_webhook_endpoint.sync(
            client=staff, body=NewEndpoint(url=address, types=["payment.paid"], description="a journey")
        )
        listing = something_on_sale(stranger)

        cart = create_guest_cart.sync(client=stranger, body=NewCart(currency="USD"))
        with Client(base_url, cart_token=cart.cart_token) as guest:
            guests = buy(guest, listing)
            assert get_payment.sync(guests.payment_id, client=guest).status == "paid"

        customers = buy(customer, listing)
        paid = get_payment.sync(customers.payment_id, client=customer)
        assert paid.order is not None
        order = get_order.sync(paid.order.id, client=customer)
        assert [line.qty for line in order.lines] == [2]
        assert order.buyer is not None
        assert customers.payment_id in {payment.id for payment in each(list_payments.sync, client=customer, limit=1)}

        refused(customer, listing)
        refund_id = refund(staff, customer, customers.payment_id)
        events = read_events(staff, customers.payment_id, refund_id)
        verify(endpoint.secret, posted, {guests.payment_id, customers.payment_id})
        delete_webhook_endpoint.sync(endpoint.id, client=staff)
    asyncio.run(watch(base_url, customers.payment_id))
    print(
        json.dumps(
            {
                "guest": str(guests.payment_id),
                "customer": str(customers.payment_id),
                "refund": str(refund_id),
                "events": [event.type_ for event in events],
            }
        )
    )


def something_on_sale(stranger: Client) -> Listing:
    listings = each(list_listings.sync, client=stranger, limit=2, available=True)
    return next(listing for listing in listings if listing.currency == "USD")


def buy(caller: Client, listing: Listing) -> Session:
    """Two pieces, paid on the provider's page."""
    add_cart_item.sync(client=caller, body=NewItem(listing=listing.id, qty=2))
    cart = get_cart.sync(client=caller)
    assert cart.id is not None
    body = OpenSession(cart_id=cart.id, buyer=Buyer(email="zoe@shop.example", name="Zoë Example", locale="en-GB"))
    key = str(uuid4())
    first = open_checkout_session.sync_detailed(client=caller, body=body, idempotency_key=key)
    again = open_checkout_session.sync_detailed(client=caller, body=body, idempotency_key=key)
    assert (first.is_replayed, again.is_replayed) == (False, True)
    assert first.parsed.payment_id == again.parsed.payment_id

    etag = get_payment.sync_detailed(first.parsed.payment_id, client=caller).etag
    assert get_payment.sync_detailed(first.parsed.payment_id, client=caller, if_none_match=etag).parsed is None
    try:
        wait_for_payment(first.parsed.payment_id, client=caller, within=1)
    except PaymentUnchangedError as error:
        assert error.payment is not None
        assert error.payment.status == "pending"
    else:
        raise AssertionError("nobody has paid")

    action = first.parsed.next_action
    assert isinstance(action, Redirect)
    # What the customer does there, in a browser.
    assert httpx.post(action.url, data={"action": "pay"}, timeout=PATIENCE).status_code == 303
    payment = wait_for_payment(first.parsed.payment_id, client=caller, within=PATIENCE)
    assert (payment.status, payment.amount) == ("paid", cart.total_amount)
    return first.parsed


def refused(customer: Client, listing: Listing) -> None:
    """More than there is: the problem says how many there are."""
    add_cart_item.sync(client=customer, body=NewItem(listing=listing.id, qty=9999))
    cart = get_cart.sync(client=customer)
    assert cart.id is not None
    try:
        open_checkout_session.sync(client=customer, body=OpenSession(cart_id=cart.id))
    except ProblemError as error:
        assert (error.status, error.slug) == (409, "out-of-stock")
        assert error.problem["lines"][0]["listing"] == str(listing.id)
    else:
        raise AssertionError("there are fewer")
    empty_cart.sync(client=customer)


def refund(staff: Client, customer: Client, payment_id: UUID) -> UUID:
    """One dollar back, watched by who paid."""
    requested = create_refund.sync(payment_id, client=staff, body=NewRefund(amount="1.00"))
    payment = wait_for_payment(
        payment_id, client=customer, until=lambda payment: payment.amount_refunded == "1.00", within=PATIENCE
    )
    assert payment.status == "paid"
    (given,) = list_refunds.sync(payment_id, client=customer).data
    assert (given.id, given.status) == (requested.id, "succeeded")
    return given.id


def read_events(staff: Client, payment_id: UUID, refund_id: UUID) -> list[Event]:
    """Those of the payment and its refund, from the beginning of the log until the money is back."""
    found: list[Event] = []
    page = list_events.sync(client=staff, limit=1000)
    while True:
        found += [event for event in page.data if event.object_.id in {payment_id, refund_id}]
        if any(event.type_ == "refund.succeeded" for event in found):
            break
        page = list_events.sync(client=staff, limit=1000, after=page.last_seq, wait=5)
    (paid,) = [event for event in found if event.type_ == "payment.paid"]
    assert StaffPayment.from_dict(paid.data.to_dict()).id == payment_id
    return found


def verify(secret: str, posted: Queue[Posted], expected: set[UUID]) -> None:
    """What came is signed, says that these were paid, and a changed body is refused."""
    paid: set[UUID] = set()
    while not expected <= paid:
        webhook = posted.get(timeout=PATIENCE)
        event = Webhook(secret).verify(webhook.body, webhook.headers)
        SvixWebhook(secret).verify(webhook.body, webhook.headers)
        assert (event["type"], event["id"]) == ("payment.paid", webhook.headers["webhook-id"])
        paid.add(StaffPayment.from_dict(event["data"]).id)
        try:
            Webhook(secret).verify(webhook.body.replace(b"paid", b"void", 1), webhook.headers)
        except WebhookVerificationError:
            continue
        raise AssertionError("it is another body")


async def watch(base_url: str, payment_id: UUID) -> None:
    """The same by asyncio."""
    async with Client(base_url, token=os.environ["CUSTOMER_TOKEN"]) as customer:
        payment = await wait_for_payment_async(payment_id, client=customer, within=PATIENCE)
        assert payment.status == "paid"
        assert payment_id in {each.id async for each in each_async(list_payments.asyncio, client=customer, limit=1)}


@contextmanager
def receiver() -> Iterator[tuple[str, Queue[Posted]]]:
    """An address of this machine that takes webhooks, and what came there."""
    posted: Queue[Posted] = Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            posted.put(Posted({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/webhooks", posted
        finally:
            server.shutdown()
            thread.join()


if __name__ == "__main__":
    main()
