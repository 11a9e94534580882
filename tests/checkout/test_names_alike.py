"""Two providers that call their payments alike: both sessions are opened, and each has a payment of its own."""

from __future__ import annotations

from dataclasses import replace

from tests.apps import MakeApp
from tests.conftest import Customer, MakeListing, Sql
from tests.purchases import ask, fill_cart
from tests.worker.scripted import ScriptedProvider


class Counting(ScriptedProvider):
    """Numbers its payments, as a bank does that has no other customers; so does the next one."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.opened: list[str] = []

    def open(self, opening):  # type: ignore[no-untyped-def]  # as the protocol has it
        self.opened.append(f"pay_{len(self.opened) + 1}")
        return replace(super().open(opening), provider_ref=self.opened[-1])


def test_a_session_at_the_second_provider_is_opened_and_is_no_502(
    make_app: MakeApp, customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    app = make_app()
    app.extensions["providers"] = {name: Counting(name) for name in ("stripe", "standard")}
    buyer = replace(customer, client=app.test_client())
    cart = fill_cart(buyer, (make_listing(), 1))

    answers = [ask(buyer, cart, key, provider=name) for key, name in (("1", "stripe"), ("2", "standard"))]

    assert [answer.status_code for answer in answers] == [201, 201]
    rows = sql("SELECT id::text, provider, provider_ref FROM payments ORDER BY id")
    assert {tuple(row)[1:] for row in rows} == {("stripe", "pay_1"), ("standard", "pay_1")}
    assert len({answer.json["payment_id"] for answer in answers} & {row.id for row in rows}) == 2


def test_a_provider_that_gives_one_reference_twice_is_a_fault_still(
    make_app: MakeApp, customer: Customer, other_customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    app = make_app()
    provider = Counting("stripe")
    app.extensions["providers"] = {"stripe": provider}
    answers = []
    for buyer in (replace(customer, client=app.test_client()), replace(other_customer, client=app.test_client())):
        provider.opened.clear()
        answers.append(ask(buyer, fill_cart(buyer, (make_listing(), 1)), "1"))

    assert [answer.status_code for answer in answers] == [201, 502]
    assert len(sql("SELECT FROM payments")) == 1
