"""What was believed once needs no fetch, and what strangers name keeps no certificate of PayPal's waiting for long."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import httpx
import pytest

from checkout_service.providers.adapters.paypal import certificates as paypal_certificates
from checkout_service.providers.adapters.paypal.certificates import (
    BACK_OFF,
    FETCH_FOR,
    FETCHES,
    KEPT_FOR,
    RENEW_AGAIN,
    WAITED_FOR,
    WINDOW,
    Certificates,
)
from checkout_service.providers.base import ProviderError, ProviderUnavailableError, UnverifiedError
from tests.providers.kits import authority
from tests.providers.kits.kit import NOW
from tests.providers.test_paypal_certificates import CHAINS, REAL, URL, Clock, holding


class Shelf:
    """A store in this process, for several lives of the adapter."""

    def __init__(self) -> None:
        self.rows: dict[str, str] = {}
        self.ends: dict[str, datetime] = {}
        self.reads = 0

    def chains(self) -> Mapping[str, str]:
        self.reads += 1
        return dict(self.rows)

    def keep(self, address: str, *, chain: str, fingerprint: str, ends_at: datetime) -> None:
        assert len(fingerprint) == 64
        self.rows[address], self.ends[address] = chain, ends_at

    def forget(self, address: str) -> None:
        self.rows.pop(address, None)


def pem(*chain: authority.Issued) -> str:
    return b"".join(each.pem for each in chain).decode()


WHOLE = pem(authority.paypal(), authority.intermediate())


def life(shelf: Shelf, answer: Callable[[httpx.Request], httpx.Response]) -> tuple[Certificates, list[str], Clock]:
    """A process that starts with what is in the store."""
    clock = Clock()
    held, requests = holding(answer, clock=clock, moment=lambda: NOW)
    held.keep_in(shelf)
    return held, requests, clock


def no_such(_: httpx.Request) -> httpx.Response:
    return httpx.Response(404)


def only_real(request: httpx.Request) -> httpx.Response:
    return REAL(request) if str(request.url) == URL else httpx.Response(404)


def test_a_start_fetches_nothing_that_was_believed_before() -> None:
    shelf = Shelf()
    held, requests, _ = life(shelf, REAL)
    first = held.key(URL, NOW)
    assert (requests, shelf.rows, shelf.ends) == ([URL], {URL: WHOLE}, {URL: authority.UNTIL})

    held, requests, _ = life(shelf, lambda _: httpx.Response(500))
    for _ in range(3):
        assert held.key(URL, NOW).public_numbers() == first.public_numbers()
    assert (requests, shelf.reads) == ([], 2)


def test_made_up_addresses_after_each_start_keep_nothing_known_waiting() -> None:
    """One a second, for as long as ten starts; PayPal is slow to say that it has no such certificate."""
    shelf = Shelf()
    shelf.rows[URL] = WHOLE
    for start in range(10):
        held, requests, clock = life(shelf, no_such)
        for second in range(60):
            clock.now += 1
            with pytest.raises(ProviderError):
                held.key(f"{URL}-{start}-{second}", NOW)
            assert held.key(URL, NOW)
        assert URL not in requests


@pytest.mark.parametrize("seconds", [0.1, 1.0, 3.0])
def test_at_the_first_start_of_all_a_flood_keeps_it_waiting_for_a_bounded_number_of_fetches(seconds: float) -> None:
    """Ten made-up ones for each of PayPal's own, and a fetch takes that long."""
    clock = Clock()

    def slow(request: httpx.Request) -> httpx.Response:
        clock.now += seconds
        return only_real(request)

    held, requests = holding(slow, clock=clock, moment=lambda: NOW)
    held.keep_in(Shelf())
    for webhook in range(100):
        for number in range(10):
            clock.now += 0.1
            with pytest.raises(ProviderError):
                held.key(f"{URL}-{webhook}-{number}", NOW)
        try:
            assert held.key(URL, NOW)
            break
        except ProviderUnavailableError:
            continue
    else:
        pytest.fail("never had")
    assert requests.index(URL) < 2 * FETCHES
    assert clock.now < 3 * WINDOW


def test_what_most_webhooks_wait_for_is_fetched_first() -> None:
    clock = Clock()
    held, requests = holding(only_real, clock=clock, moment=lambda: NOW)
    for number in range(FETCHES + 5):
        with pytest.raises(ProviderError):
            held.key(f"{URL}-{number}", NOW)
    for _ in range(2):
        with pytest.raises(ProviderUnavailableError):
            held.key(URL, NOW)

    clock.now += WINDOW
    assert held.key(URL, NOW)
    assert requests.index(URL) == FETCHES, "before those that waited for longer"


def test_one_that_is_not_answered_for_goes_behind_the_others() -> None:
    clock = Clock()

    def answer(request: httpx.Request) -> httpx.Response:
        return REAL(request) if str(request.url) == URL else httpx.Response(403)

    held, requests = holding(answer, clock=clock, moment=lambda: NOW)
    for _ in range(5):
        for _ in range(30):
            with pytest.raises(ProviderUnavailableError):
                held.key(f"{URL}-1", NOW)
        try:
            assert held.key(URL, NOW)
            break
        except ProviderUnavailableError:
            clock.now += BACK_OFF
    else:
        pytest.fail("never had")
    assert requests.count(f"{URL}-1") <= 4


def test_so_many_wait_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paypal_certificates, "WAITING", 10)
    held, _ = holding(lambda _: httpx.Response(500), clock=Clock(), moment=lambda: NOW)
    for url in (f"{URL}-first", URL, URL):
        with pytest.raises(ProviderUnavailableError):
            held.key(url, NOW)
    for number in range(50):
        with pytest.raises(ProviderUnavailableError):
            held.key(f"{URL}-{number}", NOW)

    assert len(held._waiting) == 10
    assert URL in held._waiting, "it is waited for by more than one"


def test_made_up_ones_that_take_all_places_keep_none_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them is named twice, and new ones come as often as places become free."""
    monkeypatch.setattr(paypal_certificates, "WAITING", 10)
    clock = Clock()
    answers = iter([httpx.Response(500)])
    held, requests = holding(lambda request: next(answers, None) or only_real(request), clock=clock, moment=lambda: NOW)
    for number in range(12):
        for _ in range(2):
            with pytest.raises(ProviderUnavailableError):
                held.key(f"{URL}-{number}", NOW)
    for number in range(12, 15):
        for url in (URL, f"{URL}-{number}", f"{URL}-{number}"):
            with pytest.raises(ProviderUnavailableError):
                held.key(url, NOW)

    clock.now += BACK_OFF
    assert held.key(URL, NOW)
    assert requests.index(URL) == 1, "before all that strangers named, but for the one that was tried before"
    assert len(held._waiting) <= 10


@pytest.mark.parametrize("away", [False, True])
def test_what_could_not_be_had_for_an_hour_is_refused_unless_paypal_is_away(away: bool) -> None:
    clock = Clock()
    late = NOW + WAITED_FOR + timedelta(seconds=1)
    held, _ = holding(lambda _: httpx.Response(500 if away else 404), clock=clock, moment=lambda: late)
    for number in range(FETCHES):
        with pytest.raises(ProviderError):
            held.key(f"{URL}-{number}", NOW)

    clock.now += 0 if away else FETCH_FOR
    with pytest.raises(ProviderUnavailableError if away else UnverifiedError):
        held.key(f"{URL}-{FETCHES}", NOW)
    with pytest.raises(ProviderUnavailableError):
        held.key(f"{URL}-of-now", late)


@pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS.keys())
def test_what_is_in_the_store_is_believed_no_more_than_what_is_fetched(
    chain: Callable[[], list[authority.Issued]],
) -> None:
    shelf = Shelf()
    shelf.rows[URL] = pem(*chain())

    held, requests, _ = life(shelf, no_such)
    with pytest.raises(UnverifiedError, match="status 404"):
        held.key(URL, NOW)
    assert requests == [URL]

    held, requests, _ = life(shelf, REAL)
    assert held.key(URL, NOW)
    assert (requests, shelf.rows) == ([URL], {URL: WHOLE}), "what PayPal has takes its place"


@pytest.mark.parametrize("row", ["", "rubbish", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_what_cannot_be_read_in_the_store_is_fetched(row: str) -> None:
    shelf = Shelf()
    shelf.rows[URL] = row
    held, requests, _ = life(shelf, REAL)

    assert held.key(URL, NOW)
    assert (requests, shelf.rows) == ([URL], {URL: WHOLE})


def test_one_of_the_store_that_has_ended_is_used_for_what_came_before_its_end() -> None:
    shelf = Shelf()
    shelf.rows[URL] = WHOLE
    held, requests, _ = life(shelf, no_such)

    with pytest.raises(UnverifiedError):
        held.key(URL, authority.UNTIL + timedelta(days=1))
    assert requests == [URL]
    held, requests, _ = life(shelf, no_such)
    assert held.key(URL, authority.UNTIL - timedelta(days=1))
    assert requests == []


def test_nothing_is_kept_that_was_not_believed() -> None:
    shelf = Shelf()
    held, _, _ = life(shelf, authority.serving(*CHAINS["of another authority"]()))
    with pytest.raises(UnverifiedError):
        held.key(URL, NOW)
    assert shelf.rows == {}


def test_a_known_one_is_fetched_anew_after_a_day_whatever_strangers_name() -> None:
    shelf = Shelf()
    shelf.rows[URL] = WHOLE
    held, requests, clock = life(shelf, only_real)
    assert held.key(URL, NOW)
    clock.now += KEPT_FOR
    for number in range(FETCHES + 1):
        with pytest.raises(ProviderError):
            held.key(f"{URL}-{number}", NOW)

    assert held.key(URL, NOW)
    assert requests.count(URL) == 1


def test_while_paypal_is_away_the_known_one_serves_on_and_is_tried_again_later() -> None:
    shelf = Shelf()
    shelf.rows[URL] = WHOLE
    held, requests, clock = life(shelf, lambda _: httpx.Response(503))
    for seconds in (0, KEPT_FOR, RENEW_AGAIN / 2, RENEW_AGAIN / 2):
        clock.now += seconds
        assert held.key(URL, NOW)
        assert held.key(URL, NOW)
    assert len(requests) == 2


def test_one_that_paypal_took_away_is_forgotten() -> None:
    shelf = Shelf()
    shelf.rows[URL] = WHOLE
    held, _, clock = life(shelf, no_such)
    held.key(URL, NOW)
    clock.now += KEPT_FOR

    for _ in range(2):
        with pytest.raises(UnverifiedError):
            held.key(URL, NOW)
    assert shelf.rows == {}


def test_another_process_may_have_had_it_meanwhile() -> None:
    shelf = Shelf()
    held, requests, clock = life(shelf, lambda _: httpx.Response(500))
    with pytest.raises(ProviderUnavailableError):
        held.key(URL, NOW)
    shelf.rows[URL] = WHOLE
    with pytest.raises(ProviderUnavailableError):
        held.key(URL, NOW)

    clock.now += paypal_certificates.READ_AGAIN
    assert held.key(URL, NOW)
    assert len(requests) == 1
