"""PayPal's certificates: from its hosts alone, believed by their chain, fetched seldom."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from checkout_service.providers.adapters.paypal import certificates as paypal_certificates
from checkout_service.providers.adapters.paypal.certificates import FETCH_FOR, FETCHES, KEPT, WINDOW, Certificates
from checkout_service.providers.base import ProviderError, ProviderUnavailableError, UnverifiedError
from tests.providers.kits import authority
from tests.providers.kits.kit import NOW
from tests.providers.kits.paypal import KIT, certificates

URL = authority.CERT_URL
SANDBOX = "https://api.sandbox.paypal.com/v1/notifications/certs/CERT-360caa42"
REAL = authority.serving(authority.paypal(), authority.intermediate())


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def holding(answer: Callable[[httpx.Request], httpx.Response], **options: object) -> tuple[Certificates, list[str]]:
    """Certificates that are served so, and the addresses that were asked for."""
    requests: list[str] = []

    def noting(request: httpx.Request) -> httpx.Response:
        requests.append(str(request.url))
        return answer(request)

    return certificates(transport=httpx.MockTransport(noting), **options), requests


@pytest.mark.parametrize("chain", [[authority.intermediate()], [authority.intermediate(), authority.root()]])
def test_the_key_is_that_of_a_certificate_with_its_chain(chain: list[authority.Issued]) -> None:
    held, _ = holding(authority.serving(authority.paypal(), *chain))
    assert held.key(URL, NOW).public_numbers() == authority.paypal().key.public_key().public_numbers()


def test_a_certificate_alone_needs_what_completes_its_chain() -> None:
    served = authority.serving(authority.paypal())

    with pytest.raises(UnverifiedError, match="not one that PayPal signs with"):
        holding(served)[0].key(URL, NOW)
    held, _ = holding(served, intermediates=[authority.intermediate().certificate])
    assert held.key(URL, NOW)


def alone(above: str) -> authority.Issued:
    return authority.issue(authority.NAME, by=authority.intermediate(), above=above)


@pytest.mark.parametrize("encoding", [Encoding.DER, Encoding.PEM])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_certificate_alone_is_completed_by_its_authority(encoding: Encoding, scheme: str) -> None:
    own = alone(f"{scheme}://cacerts.digicert.com/DigiCertEVRSACAG2.crt")
    above = authority.intermediate().certificate.public_bytes(encoding)

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=own.pem if str(request.url) == URL else above)

    held, requests = holding(answer)

    for _ in range(2):
        assert held.key(URL, NOW).public_numbers() == own.key.public_key().public_numbers()
    assert requests == [URL, "https://cacerts.digicert.com/DigiCertEVRSACAG2.crt"]


@pytest.mark.parametrize(
    "above",
    [
        "https://evil.test/DigiCertEVRSACAG2.crt",
        "https://cacerts.digicert.com.evil.test/DigiCertEVRSACAG2.crt",
        "https://cacerts.digicert.com@evil.test/DigiCertEVRSACAG2.crt",
        "https://cacerts.digicert.com/../x.crt",
        "https://cacerts.digicert.com:8443/x.crt",
        "file:///etc/passwd",
    ],
)
def test_what_completes_a_chain_is_fetched_from_nowhere_else(above: str) -> None:
    held, requests = holding(authority.serving(alone(above)))

    with pytest.raises(UnverifiedError, match="not one that PayPal signs with"):
        held.key(URL, NOW)
    assert requests == [URL]


def test_what_completes_a_chain_must_itself_be_certified() -> None:
    root = authority.issue("Another Root", by=None, authority=True)
    own = authority.issue(authority.NAME, by=root, above="http://cacerts.digicert.com/AnotherRoot.crt")

    held, requests = holding(
        lambda request: httpx.Response(200, content=own.pem if str(request.url) == URL else root.pem)
    )

    with pytest.raises(UnverifiedError, match="not one that PayPal signs with"):
        held.key(URL, NOW)
    assert len(requests) == 2


def test_the_intermediates_are_read_from_the_file_of_the_setting(tmp_path: Path) -> None:
    file = tmp_path / "intermediates.pem"
    file.write_bytes(authority.intermediate().pem)

    (found,) = paypal_certificates.load_certificates(str(file))

    assert found == authority.intermediate().certificate
    assert KIT.provider(ca_file=str(file))


ADDRESSES = [
    "http://api.paypal.com/v1/notifications/certs/CERT-1",
    "https://api.paypal.com.evil.test/v1/notifications/certs/CERT-1",
    "https://evil.test/v1/notifications/certs/CERT-1",
    "https://evilpaypal.com/v1/notifications/certs/CERT-1",
    "https://api.paypal.com@evil.test/v1/notifications/certs/CERT-1",
    "https://user:password@api.paypal.com/v1/notifications/certs/CERT-1",
    "https://api.paypal.com:443/v1/notifications/certs/CERT-1",
    "https://api.paypal.com:8443/v1/notifications/certs/CERT-1",
    "https://api.paypal.com./v1/notifications/certs/CERT-1",
    "https://API.PAYPAL.COM/v1/notifications/certs/CERT-1",
    "https://api.paypa1.com/v1/notifications/certs/CERT-1",
    "https://api.pаypal.com/v1/notifications/certs/CERT-1",
    "https://api.xn--pypal-4ve.com/v1/notifications/certs/CERT-1",
    "https://api.paypal.com\\@evil.test/v1/notifications/certs/CERT-1",
    "https:\\\\api.paypal.com/v1/notifications/certs/CERT-1",
    "https://api.paypal.com/v1/notifications/certs/../../../redirect?to=evil",
    "https://api.paypal.com/v1/notifications/certs/CERT-1?to=evil",
    "https://api.paypal.com/v1/notifications/certs/CERT-1#x",
    "https://api.paypal.com/v1/notifications/certs/%2e%2e",
    "https://api.paypal.com/v1/notifications/certs/",
    "https://api.paypal.com/v1/notifications/certs/CERT-1\n",
    " https://api.paypal.com/v1/notifications/certs/CERT-1",
    "https://api.paypal.com/v1/notifications/certs/" + "A" * 101,
    "https://www.paypal.com/v1/notifications/certs/CERT-1",
    "https://127.0.0.1/v1/notifications/certs/CERT-1",
    "https://[::1]/v1/notifications/certs/CERT-1",
    "file:///etc/passwd",
    "//api.paypal.com/v1/notifications/certs/CERT-1",
    "",
    SANDBOX,
]


@pytest.mark.parametrize("url", ADDRESSES)
def test_nothing_is_fetched_from_an_address_that_is_not_paypals(url: str) -> None:
    held, requests = holding(REAL)

    with pytest.raises(UnverifiedError, match="not one of PayPal's"):
        held.key(url, NOW)

    assert requests == []


@pytest.mark.parametrize("host", ["api.paypal.com", "api-m.paypal.com"])
def test_paypals_own_addresses_are_taken(host: str) -> None:
    held, requests = holding(REAL)
    assert held.key(f"https://{host}/v1/notifications/certs/CERT-1", NOW)
    assert len(requests) == 1


def test_a_certificate_of_the_sandbox_signs_nothing_that_is_paid_for() -> None:
    """Anybody can have a sandbox account, whose webhooks are signed by a verified PayPal."""
    chain = authority.serving(_issued("messageverificationcerts.sandbox.paypal.com"), authority.intermediate())

    with pytest.raises(UnverifiedError):
        holding(chain)[0].key(URL, NOW)
    assert holding(chain, sandbox=True)[0].key(SANDBOX, NOW)
    with pytest.raises(UnverifiedError):
        holding(REAL, sandbox=True)[0].key(URL, NOW)


def _issued(name: str, by: authority.Issued | None = None) -> authority.Issued:
    return authority.issue(name, by=by or authority.intermediate())


def _foreign() -> list[authority.Issued]:
    root = authority.issue("Another Root", by=None, authority=True)
    return [authority.issue(authority.NAME, by=root), root]


CHAINS: dict[str, Callable[[], list[authority.Issued]]] = {
    "of another authority": _foreign,
    "signed by itself": lambda: [authority.issue(authority.NAME, by=None)],
    "of another name": lambda: [_issued("www.paypal.com"), authority.intermediate()],
    "of a name that contains it": lambda: [_issued(f"{authority.NAME}.evil.test"), authority.intermediate()],
    "of the authority itself": lambda: [authority.intermediate(), authority.root()],
    "in the wrong order": lambda: [authority.intermediate(), authority.paypal()],
    "by one that may not certify": lambda: [
        authority.issue(authority.NAME, by=authority.paypal()),
        authority.paypal(),
        authority.intermediate(),
    ],
}


@pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS.keys())
def test_a_certificate_is_believed_by_its_chain_and_its_name(chain: Callable[[], list[authority.Issued]]) -> None:
    with pytest.raises(UnverifiedError, match="not one that PayPal signs with"):
        holding(authority.serving(*chain()))[0].key(URL, NOW)


@pytest.mark.parametrize("at", [authority.FROM - timedelta(days=1), authority.UNTIL + timedelta(days=1)])
def test_a_certificate_is_valid_when_its_webhook_was_received(at: datetime) -> None:
    held, _ = holding(REAL)

    assert held.key(URL, NOW)
    with pytest.raises(UnverifiedError):
        held.key(URL, at)


def test_a_certificate_has_an_rsa_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authority, "_key", lambda name: ec.generate_private_key(ec.SECP256R1()))
    chain = [_issued(authority.NAME), authority.intermediate()]
    with pytest.raises(UnverifiedError, match="no RSA key"):
        holding(authority.serving(*chain))[0].key(URL, NOW)


def test_a_certificate_is_fetched_once_and_again_after_a_day() -> None:
    clock = Clock()
    held, requests = holding(REAL, clock=clock)

    for _ in range(5):
        held.key(URL, NOW)
    assert len(requests) == 1
    clock.now = paypal_certificates.KEPT_FOR + 1
    held.key(URL, NOW)
    assert len(requests) == 2


def test_a_flood_of_addresses_is_no_flood_of_fetches() -> None:
    clock = Clock()
    held, requests = holding(lambda _: httpx.Response(404), clock=clock, moment=lambda: NOW)
    refused: list[type[ProviderError]] = []

    for number in range(100):
        with pytest.raises(ProviderError) as caught:
            held.key(f"{URL}-{number}", NOW)
        refused.append(caught.type)

    assert len(requests) == FETCHES
    assert refused == [UnverifiedError] * FETCHES + [ProviderUnavailableError] * (100 - FETCHES)
    clock.now = WINDOW
    with pytest.raises(ProviderUnavailableError):
        held.key(f"{URL}-100", NOW)
    assert len(requests) == 2 * FETCHES, "those that wait go first"


def test_fetches_that_take_long_are_few() -> None:
    clock = Clock()

    def slow(_: httpx.Request) -> httpx.Response:
        clock.now += FETCH_FOR / 2
        return httpx.Response(404)

    held, requests = holding(slow, clock=clock, moment=lambda: NOW)
    for number in range(10):
        with pytest.raises(ProviderError):
            held.key(f"{URL}-{number}", NOW)

    assert len(requests) == 2


def test_a_flood_does_not_keep_out_webhooks_whose_certificate_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    held, requests = holding(
        lambda request: REAL(request) if str(request.url) == URL else httpx.Response(404), clock=clock
    )
    held.key(URL, NOW)

    monkeypatch.setattr(paypal_certificates, "REFUSED", KEPT)
    for number in range(3 * KEPT):
        clock.now += WINDOW
        with pytest.raises(UnverifiedError):
            held.key(f"{URL}-{number}", NOW)

    assert held.key(URL, NOW)
    assert requests.count(URL) == 1
    assert len(held._refused) == KEPT


def test_what_paypal_does_not_have_is_fetched_once() -> None:
    clock = Clock()
    held, requests = holding(lambda _: httpx.Response(404), clock=clock)

    for _ in range(3):
        with pytest.raises(UnverifiedError):
            held.key(URL, NOW)
    assert len(requests) == 1


ANSWERS: dict[str, tuple[Callable[[httpx.Request], httpx.Response], type[ProviderError]]] = {
    "not there": (lambda _: httpx.Response(404), UnverifiedError),
    "a redirect": (lambda _: httpx.Response(302, headers={"Location": "https://evil.test/"}), ProviderUnavailableError),
    "no certificate": (lambda _: httpx.Response(200, text="<html>hunter2</html>"), ProviderUnavailableError),
    "half a certificate": (
        lambda _: httpx.Response(200, content=authority.paypal().pem[:300]),
        ProviderUnavailableError,
    ),
    "nothing": (lambda _: httpx.Response(200), ProviderUnavailableError),
    "without end": (lambda _: httpx.Response(200, content=b"A" * 1_000_000), ProviderUnavailableError),
    "broken": (lambda _: httpx.Response(500), ProviderUnavailableError),
    "too many": (lambda _: httpx.Response(429), ProviderUnavailableError),
}


@pytest.mark.parametrize(("answer", "error"), ANSWERS.values(), ids=ANSWERS.keys())
def test_only_paypals_own_word_that_there_is_none_makes_a_unverified_of_a_webhook(
    answer: Callable[[httpx.Request], httpx.Response], error: type[ProviderError]
) -> None:
    held, requests = holding(answer)

    with pytest.raises(error) as caught:
        held.key(URL, NOW)

    assert "hunter2" not in str(caught.value)
    assert requests == [URL], "a redirect is not followed"


def test_after_a_failure_there_is_a_pause_and_then_another_try() -> None:
    clock = Clock()
    answers = [httpx.ConnectError("no"), None]

    def answer(request: httpx.Request) -> httpx.Response:
        if error := answers.pop(0):
            raise error
        return REAL(request)

    held, requests = holding(answer, clock=clock)
    for _ in range(3):
        with pytest.raises(ProviderUnavailableError):
            held.key(URL, NOW)
    assert len(requests) == 1

    clock.now = paypal_certificates.BACK_OFF + 0.1
    assert held.key(URL, NOW)


def test_the_authorities_of_the_world_do_not_certify_the_tests() -> None:
    """And by default they are who is trusted."""
    held = Certificates(transport=httpx.MockTransport(REAL))
    with pytest.raises(UnverifiedError, match="not one that PayPal signs with"):
        held.key(URL, datetime.now(UTC))
    assert len(paypal_certificates._trusted()) > 50
