"""Thin events of Stripe: what each names, what its object says once it is read, and what is never read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
import structlog

from checkout_service.payments.outcomes import ReviewReason
from checkout_service.payments.status import AttemptStatus, CaptureStatus, PaymentStatus, RefundStatus
from checkout_service.providers.adapters.stripe import listing
from checkout_service.providers.adapters.stripe.events import EVENT_TYPES, LISTED_TYPES
from checkout_service.providers.adapters.stripe.provider import StripeProvider
from checkout_service.providers.base import (
    Decline,
    IgnoredReason,
    ParsedWebhook,
    ProviderError,
    ProviderEvent,
    ProviderRefundEvent,
    ProviderRefusedError,
    ProviderUnavailableError,
    ThinEvent,
    UnreadableError,
    UnverifiedError,
)
from checkout_service.providers.entries import AttemptEntry, CaptureEntry, DisputeEntry, NoneUnderWayEntry, NoticeEntry
from tests.providers.kits.kit import NOW
from tests.providers.kits.stripe import (
    CHARGE,
    DISPUTE,
    INTENT,
    KIT,
    REFUND,
    WARNING,
    StripeBank,
    authorized,
    charge,
    dispute,
    intent,
    problem,
    refund,
    sign,
    thin,
    thin_event,
    warning,
)

LATER = NOW + timedelta(days=1)
NAMES = {"payment_intent": INTENT, "charge": CHARGE, "refund": REFUND, "dispute": DISPUTE, "radar": WARNING}


def parsed(kind: str, ref: str, **fields: Any) -> ParsedWebhook:
    return KIT.provider().verify_and_parse(thin(kind, ref, **fields).raw("stripe"))


def news(kind: str, ref: str, **fields: Any) -> ThinEvent:
    (found,) = parsed(kind, ref, **fields).events
    assert isinstance(found, ThinEvent)
    return found


def bank_of(*objects: dict[str, Any]) -> StripeBank:
    bank = StripeBank()
    for held in objects:
        if held["object"] == "payment_intent":
            bank.payments[held["id"]] = held
        else:
            bank.objects[held["id"]] = held
    return bank


def read(bank: StripeBank, *thin_events: ThinEvent) -> Sequence[ProviderEvent | ProviderRefundEvent | ThinEvent]:
    return KIT.provider(answer=bank).look_up_object(thin_events).events


def object_of(kind: str) -> str:
    if kind.startswith("charge.dispute."):
        return DISPUTE
    return REFUND if "refund." in kind else NAMES[kind.partition(".")[0]]


@pytest.mark.parametrize("kind", EVENT_TYPES)
def test_each_kind_names_the_object_that_it_is_about(kind: str) -> None:
    ref = object_of(kind)
    found = news(kind, ref)

    assert (found.object_ref, found.kind, found.verified) == (ref, kind, True)
    assert found.provider_ref == (INTENT if kind.startswith("payment_intent.") else "")
    assert found.event_id == thin_event(kind, ref)["id"]
    assert found.full_event_id == thin_event(kind, ref)["snapshot_event"]


def test_an_event_without_one_in_full_has_no_name_of_it() -> None:
    assert news("payment_intent.succeeded", INTENT, snapshot_event=None).full_event_id == ""


@pytest.mark.parametrize(
    ("kind", "fields", "reason"),
    [
        ("payment_intent.succeeded", {"livemode": True}, IgnoredReason.NOT_OURS),
        ("payment_intent.succeeded", {"context": "acct_another"}, IgnoredReason.NOT_OURS),
        ("payment_intent.succeeded", {"context": {"of": "tomorrow"}}, IgnoredReason.NOT_OURS),
        ("payment_intent.succeeded", {"type": "payment_intent.succeeded"}, IgnoredReason.UNKNOWN_TYPE),
        ("payment_intent.succeeded", {"type": "v2.payment_intent.succeeded"}, IgnoredReason.UNKNOWN_TYPE),
        ("customer.created", {}, IgnoredReason.UNKNOWN_TYPE),
        ("customer.created", {"context": "acct_another"}, IgnoredReason.NOT_OURS),
        ("payment_intent.requires_action", {}, IgnoredReason.UNKNOWN_TYPE),
    ],
)
def test_what_is_ignored_says_why(kind: str, fields: dict[str, Any], reason: IgnoredReason) -> None:
    body = json.dumps(thin_event("payment_intent.succeeded", INTENT) | {"type": f"v1.{kind}"} | fields).encode()
    found = KIT.provider().verify_and_parse(sign(body, KIT.secrets[0]).raw("stripe"))

    assert found == ParsedWebhook(secret=0, ignored=reason)


def test_an_empty_context_is_no_other_account() -> None:
    assert news("payment_intent.succeeded", INTENT, context="").object_ref == INTENT


RELATED = {
    "none": None,
    "not an object": INTENT,
    "of another type": {"id": CHARGE, "type": "charge", "url": "/v1/charges/x"},
    "of another type than its id": {"id": INTENT, "type": "charge", "url": "/v1/payment_intents/x"},
    "an id of another type": {"id": CHARGE, "type": "payment_intent", "url": "/v1/x"},
    "no id": {"type": "payment_intent", "url": "/v1/x"},
    "a path": {"id": "pi_/../../v1/refunds", "type": "payment_intent", "url": "/v1/x"},
    "a dot": {"id": "pi_..", "type": "payment_intent", "url": "/v1/x"},
    "a query": {"id": "pi_1?expand[]=x", "type": "payment_intent", "url": "/v1/x"},
    "an escape": {"id": "pi_1%2f..", "type": "payment_intent", "url": "/v1/x"},
    "a line": {"id": "pi_1\n", "type": "payment_intent", "url": "/v1/x"},
    "other digits": {"id": "pi_١٢", "type": "payment_intent", "url": "/v1/x"},
    "too long": {"id": "pi_" + "1" * 201, "type": "payment_intent", "url": "/v1/x"},
}


@pytest.mark.parametrize("related", RELATED.values(), ids=RELATED.keys())
def test_a_related_object_that_is_none_of_its_kind_is_unreadable(related: Any) -> None:
    with pytest.raises(UnreadableError):
        parsed("payment_intent.succeeded", INTENT, related_object=related)


def test_a_stranger_names_nothing() -> None:
    webhook = thin("payment_intent.succeeded", INTENT, secret="whsec_of_somebody_else")
    with pytest.raises(UnverifiedError):
        KIT.provider().verify_and_parse(webhook.raw("stripe"))


@pytest.mark.parametrize("ref", ["pi_/../x", "pi_..", "", "re_1"])
def test_no_path_is_made_of_an_id_that_is_none(ref: str) -> None:
    bank = StripeBank()
    with pytest.raises(UnreadableError):
        read(bank, replace(news("payment_intent.succeeded", INTENT), object_ref=ref))
    assert bank.requests == []


READS = {
    "payment_intent.succeeded": (intent(latest_charge=charge()), f"/v1/payment_intents/{INTENT}"),
    "charge.captured": (charge(), f"/v1/charges/{CHARGE}"),
    "refund.updated": (refund(), f"/v1/refunds/{REFUND}"),
    "charge.refund.updated": (refund(), f"/v1/refunds/{REFUND}"),
    "charge.dispute.closed": (dispute("lost"), f"/v1/disputes/{DISPUTE}"),
    "radar.early_fraud_warning.created": (warning(), f"/v1/radar/early_fraud_warnings/{WARNING}"),
}


@pytest.mark.parametrize("kind", READS)
def test_an_object_is_read_by_its_id_once_however_many_events_name_it(kind: str) -> None:
    held, path = READS[kind]
    bank = bank_of(held)
    elsewhere = {"id": held["id"], "type": held["object"], "url": "https://elsewhere.test/v1/anything"}
    named = [news(kind, held["id"], number=number, related_object=elsewhere) for number in range(20)]

    assert read(bank, *named)

    (request,) = bank.requests
    assert (request.method, request.url.host, request.url.path) == ("GET", "api.stripe.com", path)
    assert "Stripe-Context" not in request.headers


def test_an_intent_that_is_read_says_what_its_events_do() -> None:
    part = intent(amount_received=20000, latest_charge=charge(amount_captured=20000))
    found, none_under_way = read(bank_of(part), news("payment_intent.succeeded", INTENT))

    assert isinstance(found, ProviderEvent)
    assert (found.provider_ref, found.status, found.amount) == (INTENT, PaymentStatus.PARTIALLY_PAID, Decimal("200.00"))
    captures = [entry for entry in found.entries if isinstance(entry, CaptureEntry)]
    assert [(entry.ref, entry.amount, entry.status) for entry in captures] == [
        (CHARGE, Decimal("200.00"), CaptureStatus.SUCCEEDED)
    ]
    assert isinstance(none_under_way, ProviderEvent)
    assert none_under_way.event_id == ""


def test_an_intent_of_another_shop_is_foreign() -> None:
    for metadata, foreign in ((intent()["metadata"], False), ({}, True), ({"deployment": "another"}, True)):
        found = read(bank_of(intent(metadata=metadata)), news("payment_intent.succeeded", INTENT))
        assert {event.foreign for event in found if isinstance(event, ProviderEvent)} == {foreign}


def test_a_failure_without_a_charge_has_the_name_that_its_event_in_full_gives_it() -> None:
    failed = intent("requires_payment_method", latest_charge=None)
    named = [news("payment_intent.processing", INTENT, number=7), news("payment_intent.payment_failed", INTENT)]
    found = read(bank_of(failed), *named)[0]

    assert isinstance(found, ProviderEvent)
    (attempt,) = [entry for entry in found.entries if isinstance(entry, AttemptEntry)]
    assert (attempt.ref, attempt.status) == (named[1].full_event_id, AttemptStatus.FAILED)


def failed_attempts(*thin_events: ThinEvent, **fields: Any) -> list[str]:
    held = intent("requires_payment_method", latest_charge=None, **fields)
    found = [event for event in read(bank_of(held), *thin_events) if isinstance(event, ProviderEvent)]
    return [entry.ref for event in found for entry in event.entries if isinstance(entry, AttemptEntry)]


def test_two_failures_without_a_charge_are_two_attempts() -> None:
    named = [news("payment_intent.payment_failed", INTENT, number=number) for number in (8, 7)]
    assert failed_attempts(*named) == [named[1].full_event_id, named[0].full_event_id]


def test_a_failure_that_no_event_names_is_no_attempt_of_its_own() -> None:
    assert failed_attempts(news("payment_intent.processing", INTENT)) == []
    assert failed_attempts(news("payment_intent.payment_failed", INTENT, snapshot_event=None)) == []
    charged = {"code": "card_declined", "charge": CHARGE}
    assert failed_attempts(news("payment_intent.processing", INTENT), last_payment_error=charged) == [CHARGE]


def test_what_a_failed_intent_that_nothing_names_says_is_that_none_is_under_way() -> None:
    held = intent("requires_payment_method", latest_charge=None)
    (found,) = read(bank_of(held), news("payment_intent.processing", INTENT))
    assert isinstance(found, ProviderEvent)
    assert (found.event_id, found.status) == ("", None)
    assert [type(entry) for entry in found.entries] == [NoneUnderWayEntry]


DATES = {
    "Stripe's clock is behind ours": (-100, -100),
    "and ahead": (1800, 1800),
    "no clock of Stripe's": (7200, 0),
    "none": (None, 0),
}


@pytest.mark.parametrize(("ahead", "counted"), DATES.values(), ids=DATES.keys())
def test_a_dispute_that_is_read_is_dated_by_the_clock_that_dates_its_events(ahead: int | None, counted: int) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    headers = {} if ahead is None else {"date": format_datetime(now + timedelta(seconds=ahead), usegmt=True)}

    def answer(request: httpx.Request) -> httpx.Response:
        held: dict[str, Any] = dispute("under_review")
        if request.url.path.startswith("/v1/payment_intents/"):
            held = intent(latest_charge=charge(disputed=True))
        if request.url.path in {"/v1/disputes", "/v1/refunds"}:
            held = {"object": "list", "data": [held] if request.url.path == "/v1/disputes" else [], "has_more": False}
        return httpx.Response(200, json=held, headers=headers)

    provider = KIT.provider(answer=answer)
    looked_up = provider.look_up(KIT.reference())
    for found in (*provider.look_up_object([news("charge.dispute.updated", DISPUTE)]).events, *looked_up):
        entries = found.entries if isinstance(found, ProviderEvent) else ()
        for entry in entries:
            if isinstance(entry, DisputeEntry):
                assert entry.at is not None
                assert abs(entry.at - (now + timedelta(seconds=counted))) < timedelta(seconds=20)
    assert any(
        isinstance(entry, DisputeEntry)
        for found in looked_up
        for entry in (found.entries if isinstance(found, ProviderEvent) else ())
    )


def test_a_date_that_is_none_is_passed_over() -> None:
    for date in ("", "now", "Mon, 99 Nov 2026 25:00:00 GMT", "Mon, 30 Nov 99999 00:00:00 GMT", "\xff"):
        answer = httpx.Response(200, json=dispute(), headers=[(b"date", date.encode("latin-1"))])
        (found,) = (
            KIT.provider(answer=lambda _, answer=answer: answer)  # type: ignore[misc]
            .look_up_object([news("charge.dispute.updated", DISPUTE)])
            .events
        )
        assert isinstance(found, ProviderEvent)
        (entry,) = found.entries
        assert isinstance(entry, DisputeEntry)
        assert entry.at is not None
        assert abs(entry.at - datetime.now(UTC)) < timedelta(seconds=20)


def test_a_charge_that_was_refunded_leads_to_the_list_of_its_payment() -> None:
    held = charge(amount_refunded=4000)
    payment = ThinEvent(provider="stripe", provider_ref=INTENT)

    assert read(bank_of(held), news("charge.refunded", CHARGE)) == [payment]
    captured, led = read(bank_of(held), news("charge.refunded", CHARGE), news("charge.captured", CHARGE))
    assert isinstance(captured, ProviderEvent)
    assert led == payment
    (alone,) = read(bank_of(held), news("charge.captured", CHARGE))
    assert isinstance(alone, ProviderEvent)
    assert alone.event_id == captured.event_id


def test_why_a_charge_was_let_go_its_event_says_or_its_intent() -> None:
    held = authorized(amount_refunded=24000, refunded=True)

    (found,) = read(bank_of(held), news("charge.expired", CHARGE))
    assert isinstance(found, ProviderEvent)
    assert [entry.status for entry in found.entries if isinstance(entry, AttemptEntry)] == [AttemptStatus.EXPIRED]
    assert read(bank_of(held), news("charge.updated", CHARGE)) == [ThinEvent(provider="stripe", provider_ref=INTENT)]


def test_what_was_seen_of_a_charge_has_a_name_of_its_own() -> None:
    ways = [
        authorized(),
        charge(amount_captured=20000),
        charge(),
        charge("pending"),
        charge("failed"),
        authorized(amount=23000),
    ]
    ids = [read(bank_of(held), news("charge.updated", CHARGE))[0].event_id for held in (*ways, *ways)]  # type: ignore[union-attr]
    assert ids[: len(ways)] == ids[len(ways) :]
    assert len(set(ids)) == len(ways)
    expired = read(bank_of(authorized()), news("charge.expired", CHARGE))[0].event_id  # type: ignore[union-attr]
    assert expired not in ids, "the end of an authorisation is news"
    assert all(name.startswith("lookup:") for name in ids)


@pytest.mark.parametrize(("status", "proven"), [("failed", RefundStatus.FAILED), ("succeeded", RefundStatus.SUCCEEDED)])
def test_a_refund_that_is_read_late_says_how_it_is_now(status: str, proven: RefundStatus) -> None:
    (found,) = read(bank_of(refund(status, metadata={})), news("refund.failed", REFUND))
    assert isinstance(found, ProviderRefundEvent)
    assert (found.refund_ref, found.status, found.amount) == (REFUND, proven, Decimal("240.00"))
    assert (found.provider_ref, list(found.names)) == (INTENT, [CHARGE])


def test_a_refund_that_may_be_no_money_is_looked_up_with_its_charge() -> None:
    held = refund(metadata={}, balance_transaction=None, amount=4000)
    assert read(bank_of(held), news("refund.created", REFUND)) == [ThinEvent(provider="stripe", provider_ref=INTENT)]


@pytest.mark.parametrize("moves", [0, 1, 2])
def test_a_dispute_counts_by_its_balance_transactions(moves: int) -> None:
    (found,) = read(bank_of(dispute("won", moves)), news("charge.dispute.closed", DISPUTE))
    assert isinstance(found, ProviderEvent)
    (entry,) = found.entries
    assert isinstance(entry, DisputeEntry)
    assert (entry.step, entry.money_out) == (moves, moves == 1)


def test_an_early_fraud_warning_says_what_it_does_in_full() -> None:
    (found,) = read(bank_of(warning()), news("radar.early_fraud_warning.created", WARNING))
    assert isinstance(found, ProviderEvent)
    assert found.provider_ref == INTENT
    assert list(found.entries) == [
        NoticeEntry(reason=ReviewReason.FRAUD_WARNING, ref=WARNING, detail="made_with_stolen_card")
    ]


@pytest.mark.parametrize(
    ("kind", "held"),
    [
        ("charge.succeeded", charge(payment_intent=None)),
        ("charge.refunded", charge(payment_intent=None)),
        ("refund.created", refund(payment_intent=None, charge=None)),
    ],
)
def test_an_object_of_no_payment_of_ours_says_so(kind: str, held: dict[str, Any]) -> None:
    found = KIT.provider(answer=bank_of(held)).look_up_object([news(kind, held["id"])])
    assert found == ParsedWebhook(ignored=IgnoredReason.NOT_OURS)


def test_an_answer_about_another_object_is_unreadable() -> None:
    for answer in (refund(id="re_another"), charge(id=REFUND)):
        provider = KIT.provider(answer=lambda _, answer=answer: httpx.Response(200, json=answer))  # type: ignore[misc]
        with pytest.raises(UnreadableError):
            provider.look_up_object([news("refund.created", REFUND)])


@pytest.mark.parametrize(
    ("status", "reason"), [(404, Decline.UNKNOWN_REFERENCE), (403, Decline.CREDENTIALS), (401, Decline.CREDENTIALS)]
)
def test_what_stripe_does_not_show_is_refused(status: int, reason: Decline) -> None:
    answer = problem(status, type="invalid_request_error", code="resource_missing")
    with pytest.raises(ProviderRefusedError) as caught:
        KIT.provider(answer=lambda _: answer).look_up_object([news("refund.created", REFUND)])
    assert caught.value.reason is reason


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(404, text="<html>nginx</html>"),
        httpx.Response(404),
        httpx.Response(404, json={"detail": "no such route"}),
        problem(404, type="invalid_request_error"),
    ],
    ids=["html", "nothing", "json", "no code"],
)
def test_a_404_without_stripes_code_says_nothing_of_the_object(answer: httpx.Response) -> None:
    with pytest.raises(UnreadableError):
        KIT.provider(answer=lambda _: answer).look_up_object([news("refund.created", REFUND)])


def test_stripe_that_is_away_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("checkout_service.providers.transport.sleep", lambda seconds: None)
    with pytest.raises(ProviderUnavailableError):
        KIT.provider(answer=lambda _: httpx.Response(503)).look_up_object([news("refund.created", REFUND)])


@pytest.mark.parametrize("kind", READS)
def test_answers_with_anything_in_them_changed_are_values_or_one_of_three_errors(kind: str) -> None:
    held, _ = READS[kind]
    named = news(kind, held["id"])
    for name in held:
        for leaf in (None, "", "x", -1, True, 1.5, 10**30, [], [None], {}, {"id": 7}, "\x00", "\ud83c"):
            changed = json.dumps(held | {name: leaf}).encode()
            provider = KIT.provider(answer=lambda _, changed=changed: httpx.Response(200, content=changed))  # type: ignore[misc]
            with suppress(ProviderError):
                for found in provider.look_up_object([named]).events:
                    assert found.provider == "stripe"


def test_a_list_with_anything_in_it_changed_is_a_page_or_one_of_three_errors() -> None:
    for name in ("data", "next_page_url"):
        for leaf in (None, "", "x", -1, True, [], [None], [[]], [{}], [{"id": 7}], {}, "\x00"):
            answer = {"data": [thin_event("refund.created", REFUND)], "next_page_url": None} | {name: leaf}
            provider = KIT.provider(answer=lambda _, answer=answer: httpx.Response(200, json=answer), events="thin")  # type: ignore[misc]
            with suppress(ProviderError):
                provider.listed(since=NOW, until=LATER)


# The list


def listed(provider: StripeProvider, since: datetime = NOW - timedelta(days=1)) -> list[str]:
    found, after = list[str](), None
    while True:
        page = provider.listed(since=since, until=LATER, after=after)
        found += [event.event_id for event in page.events]
        after = page.after
        if after is None:
            return found


@pytest.mark.parametrize(
    ("events", "paths"),
    [
        (None, ["/v1/events"]),
        ("snapshot", ["/v1/events"]),
        ("thin", ["/v2/core/events"]),
        ("both", ["/v1/events", "/v2/core/events"]),
    ],
)
def test_the_lists_that_are_requested_are_those_of_the_destinations(events: str | None, paths: list[str]) -> None:
    bank = StripeBank()
    provider = KIT.provider(answer=bank, **({"events": events} if events else {}))

    provider.undelivered(since=NOW)
    provider.listed(since=NOW, until=LATER)

    assert [request.url.path for request in bank.requests] == paths


def test_every_page_and_every_kind_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "TYPES_AT_ONCE", 8)
    bank = StripeBank()
    bank.page = 3
    bank.thin_events = [thin_event(kind, object_of(kind), number=place) for place, kind in enumerate(LISTED_TYPES)]

    found = listed(KIT.provider(answer=bank, events="thin"))

    assert sorted(found) == sorted(event["id"] for event in bank.thin_events)
    assert len(found) == len(LISTED_TYPES) == 20
    first = bank.requests[0].url.params
    assert first["created[gte]"] == "2026-11-24T12:00:00Z"
    assert [first[f"types[{place}]"] for place in range(8)] == [f"v1.{kind}" for kind in LISTED_TYPES[:8]]


def test_what_is_listed_is_what_its_webhook_says() -> None:
    bank = StripeBank()
    bank.thin_events = [
        thin_event("refund.created", REFUND),
        thin_event("refund.created", REFUND, number=2, context="acct_another"),
        thin_event("refund.created", REFUND, number=3, related_object=None),
    ]
    page = KIT.provider(answer=bank, events="thin").listed(since=NOW - timedelta(days=1), until=LATER)

    assert [(event.event_id, list(event.events)) for event in page.events] == [
        (bank.thin_events[1]["id"], []),
        (bank.thin_events[0]["id"], [news("refund.created", REFUND)]),
    ]


@pytest.mark.parametrize(
    "address",
    [
        "https://elsewhere.test/v2/core/events?page=x",
        "//elsewhere.test/v2/core/events?page=x",
        "http://[/v2/core/events?page=x",
        "/v2/core/events/../accounts?page=x",
        "/v1/charges?page=x",
        "/v2/core/events",
        "/v2/core/events?page=a b",
        "/v2/core/events?page=\r\nHost: elsewhere.test",
        "/v2/core/events?page=ü",
        "/v2/core/events?page=" + "x" * 5000,
        "",
        7,
        {"page": "x"},
    ],
)
def test_an_address_of_another_place_is_never_followed(address: Any) -> None:
    requests = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, json={"data": [], "next_page_url": address})

    with pytest.raises(UnreadableError):
        KIT.provider(answer=answer, events="thin").listed(since=NOW, until=LATER)
    assert [request.url.host for request in requests] == ["api.stripe.com"]


@pytest.mark.parametrize("same", [True, False])
def test_a_list_that_does_not_end_is_left(same: bool) -> None:
    requests = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        page = "x" if same else str(len(requests))
        return httpx.Response(200, json={"data": [], "next_page_url": f"/v2/core/events?page={page}"})

    with pytest.raises(UnreadableError, match="does not end"):
        listed(KIT.provider(answer=answer, events="thin"))
    assert len(requests) == (2 if same else listing.MOST_PAGES)


def test_a_moment_is_sent_in_whole_seconds_of_utc() -> None:
    bank = StripeBank()
    since = datetime(2026, 11, 25, 12, 0, 0, 999999, tzinfo=UTC)
    KIT.provider(answer=bank, events="thin").listed(since=since, until=since + timedelta(minutes=10))
    assert bank.requests[0].url.params["created[gte]"] == "2026-11-25T12:00:00Z"
    assert bank.requests[0].url.params["created[lt]"] == "2026-11-25T12:10:00Z"


def test_the_objects_that_others_need_come_first_and_what_intents_say_too_is_spare() -> None:
    ranks = dict[str, tuple[int, bool]]()
    for kind in LISTED_TYPES:
        bank = StripeBank()
        bank.thin_events = [thin_event(kind, object_of(kind))]
        (event,) = KIT.provider(answer=bank, events="thin").listed(since=NOW - timedelta(days=1), until=LATER).events
        ranks[kind] = event.rank, event.spare
    spare = {"charge.succeeded", "charge.captured", "charge.updated", "charge.expired"}
    assert {kind for kind, (_, is_spare) in ranks.items() if is_spare} == spare
    by_prefix = [ranks[kind][0] for kind in ("payment_intent.succeeded", "refund.created", "charge.dispute.created")]
    assert [0, *by_prefix[1:], ranks["charge.refunded"][0]] == sorted({0, *by_prefix[1:], ranks["charge.refunded"][0]})
    assert {rank for kind, (rank, _) in ranks.items() if kind.startswith("payment_intent.")} == {0}


def test_what_a_list_cannot_read_is_in_the_log() -> None:
    bank = StripeBank()
    bank.thin_events = [thin_event("refund.created", REFUND, related_object=None)]
    with structlog.testing.capture_logs() as lines:
        page = KIT.provider(answer=bank, events="thin").listed(since=NOW - timedelta(days=1), until=LATER)
    assert page.events == []
    (line,) = lines
    assert line["event"] == "listed_event_not_understood"
    assert line["event_id"] == bank.thin_events[0]["id"]
