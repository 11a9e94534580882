"""What a body names can be read before anybody knows who sent it, whatever the body is."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from hypothesis import given

from checkout_service.providers.base import ProviderEvent, ThinEvent
from checkout_service.providers.registry import provider_specs
from checkout_service.providers.spec import WebhookFormat
from checkout_service.providers.unverified_names import LONGEST_NAME, MOST_NAMES, names_in
from tests.providers.contract.test_mutations import bodies, retyped, some
from tests.providers.kits.collection import KITS
from tests.providers.kits.kit import Kit, SignedWebhook
from worker.transitions.matching import names_of

JSON = WebhookFormat(body="json", names=("id", "list.*.id", "deep.er"))


def all_webhooks(kit: Kit) -> Iterator[SignedWebhook]:
    yield from (kit.webhook(status) for status in (*kit.statuses, *kit.refunds, None))
    yield from getattr(kit, "movements", dict)().values()


def test_what_leads_a_verified_event_to_its_payment_is_read_without_a_secret(kit: Kit) -> None:
    provider, webhook_format = kit.provider(), provider_specs()[kit.name].webhooks
    seen = 0
    for webhook in all_webhooks(kit):
        found = " ".join(names_in(webhook_format, webhook.body))
        for event in provider.verify_and_parse(webhook.raw(kit.name)).events:
            leads = [event.provider_ref, event.object_ref if isinstance(event, ThinEvent) else ""]
            if not isinstance(event, ThinEvent):
                leads += names_of(event) if not event.provider_ref else []
            if isinstance(event, ProviderEvent) and event.payment_id:
                leads.append(event.payment_id.hex)
            assert any(lead and lead in found for lead in leads), (webhook.body, found)
            seen += 1
    assert seen


@pytest.mark.parametrize("name", KITS)
def test_no_body_breaks_the_reader_and_none_names_much(name: str) -> None:
    kit = KITS[name]
    webhook_format = provider_specs()[name].webhooks

    def harmless(body: bytes) -> None:
        found = names_in(webhook_format, body)
        assert len(found) <= MOST_NAMES
        assert all(1 <= len(each) <= LONGEST_NAME and each.isprintable() for each in found)

    @some(100)
    @given(bodies(kit))
    def bytes_changed(webhooks: tuple[SignedWebhook, SignedWebhook]) -> None:
        harmless(webhooks[1].body)

    bytes_changed()
    if webhook_format.body == "json":
        some(100)(given(retyped(kit))(harmless))()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"id": ' + b'{"id": ' * 50_000,
        b'{"id": ' + b"9" * 10_000 + b"}",
        b'{"id": "a\\u0000b", "list": [{"id": "\\ud800"}]}',
        b'{"id": ["pi_1"], "list": {"*": {"id": "pi_2"}}, "deep": "er"}',
        json.dumps({"id": "x" * (LONGEST_NAME + 1), "list": [None, 1, [], {"id": ""}]}).encode(),
    ],
)
def test_a_hostile_body_names_nothing(body: bytes) -> None:
    assert names_in(JSON, body) == ()


def test_names_are_read_up_to_a_number_and_each_once() -> None:
    body = json.dumps({"id": "first", "list": [{"id": f"name {n}"} for n in range(10_000)], "deep": {"er": "first"}})

    assert names_in(JSON, body.encode()) == ("first", *(f"name {number}" for number in range(MOST_NAMES - 1)))


def test_of_an_object_its_id_is_read_and_of_an_address_its_last_step() -> None:
    body = b'{"id": {"id": "pi_1"}, "deep": {"er": "https://api.test/v2/captures/8X"}}'

    assert names_in(JSON, body) == ("pi_1", "8X")


def test_a_body_that_only_a_second_reader_understands_is_read_too() -> None:
    """The receiver takes half a character in a customer's name, so the payment beside it is found."""
    assert names_in(JSON, b'{"note": "\\ud800", "id": "pi_1"}') == ("pi_1",)


def test_a_form_with_too_many_fields_names_nothing() -> None:
    form = WebhookFormat(body="form", names=("id",))

    assert names_in(form, b"id=tr_7UhSN1zuXS") == ("tr_7UhSN1zuXS",)
    assert names_in(form, b"&".join([b"id=tr_1"] * 1000)) == ()
    assert names_in(form, b"id=\xff") in {(), ("\ufffd",)}


def test_a_provider_that_lists_no_places_has_its_webhooks_kept_by_source_alone() -> None:
    assert names_in(WebhookFormat(body="json"), b'{"id": "pi_1"}') == ()
