"""The certificates that PayPal signs its webhooks with.

From PayPal's hosts alone, kept, and believed by their chain. Anybody may name certificates that do not exist, at an
address that looks like PayPal's. So what was believed once is never fetched again before it may be used, and all
addresses that were never believed share a budget of their own.
"""

from __future__ import annotations

import re
import warnings
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Any, Final

import certifi
import httpx
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import AuthorityInformationAccessOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from checkout_service.providers.base import ProviderUnavailableError, UnverifiedError
from checkout_service.providers.certificate_store import CertificateStore

ANSWER_WITHIN: Final = httpx.Timeout(3.0, connect=2.0)
READ_WITHIN: Final = 4.0
LARGEST: Final = 64 * 1024
KEPT: Final = 32
GONE: Final = frozenset({httpx.codes.NOT_FOUND, httpx.codes.GONE})
"""What PayPal answers of a certificate that it never had."""

REFUSED: Final = 1000
KEPT_FOR: Final = 86_400.0
REFUSED_FOR: Final = 600.0

WINDOW: Final = 30.0
FETCHES: Final = 20
FETCH_FOR: Final = 2.0
"""Of addresses that were never believed: so many fetches begin in that many seconds, and none once the others took so
many together. Each costs the set of webhooks that it is made for, which has 20 s; what is not there PayPal answers in a
fraction of one. PayPal changes its certificate a few times a year."""

WAITING: Final = 1000
"""Addresses that wait for their fetch."""

WAITED_FOR: Final = timedelta(hours=1)
"""A webhook whose certificate could not be had for so long, though PayPal answers, is refused. PayPal's own certificate
is named by more webhooks than any other that is waited for, and was had long before."""

BACK_OFF: Final = 10.0
"""Seconds without a fetch after one that PayPal did not answer."""

RENEW_AGAIN: Final = 600.0
"""Seconds until one that PayPal did not answer for is fetched anew; until then the one that is held serves on."""

READ_AGAIN: Final = 5.0
"""Seconds after which the store is read once more for an address that is not known: another process may know it."""

_URL: Final = re.compile(r"https://(api|api-m)(\.sandbox)?\.paypal\.com/v1/notifications/certs/[A-Za-z0-9-]{1,100}")
"""Matched as text, so that nothing is left to two readings of an address: no user, port, last dot, query or escape."""

_ISSUER: Final = re.compile(r"https?://(cacerts\.digicert\.com/[A-Za-z0-9-]{1,100}\.crt)")
"""PayPal has been seen to send its own certificate alone, and the one above it is in no list of roots. Where that is
stands in PayPal's own; it is fetched from PayPal's authority alone, and believed by its chain like the other."""

_PEM: Final = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)

_NAME: Final = {"": "messageverificationcerts.paypal.com", ".sandbox": "messageverificationcerts.sandbox.paypal.com"}


@dataclass(slots=True)
class _Held:
    """A chain, since when it is held, when it was last tried to fetch it, and whether it was not kept yet."""

    chain: list[x509.Certificate]
    since: float
    tried_at: float = float("-inf")
    is_new: bool = False


@dataclass(slots=True)
class _Waiting:
    """An address that waits for its fetch: the more webhooks wait for it, and the fewer tries failed, the sooner."""

    score: float = 0.0
    weight: float = 1.0


class Certificates:
    """PayPal's certificates, for live payments or for its sandbox.

    ``roots`` are trusted, by default those of the certifi package; ``intermediates`` complete the chain where PayPal
    sends its own certificate alone, instead of what its authority serves. Thread-safe; connects with the first fetch.
    """

    def __init__(
        self,
        *,
        sandbox: bool = False,
        roots: list[x509.Certificate] | None = None,
        intermediates: Sequence[x509.Certificate] = (),
        transport: httpx.BaseTransport | None = None,
        clock: Callable[[], float] = monotonic,
        moment: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._place = ".sandbox" if sandbox else ""
        self._roots = roots
        self._intermediates = list(intermediates)
        self._transport = transport
        self._clock = clock
        self._moment = moment
        self._trust: Store | None = None
        self._client: httpx.Client | None = None
        self._held: OrderedDict[str, _Held] = OrderedDict()
        self._refused: OrderedDict[str, float] = OrderedDict()
        self._waiting: dict[str, _Waiting] = {}
        """The longest waiting first."""
        self._fetches: deque[tuple[float, float]] = deque()
        """When each fetch of an unknown address ended, and how long it took."""
        self._failed_at = float("-inf")
        self._store: CertificateStore | None = None
        self._stored: Mapping[str, str] = {}
        self._read_at = float("-inf")
        self._lock = Lock()

    def keep_in(self, store: CertificateStore) -> None:
        """Keep there what is believed from now on, and use what is there."""
        self._store = store

    def key(self, url: str, at: datetime) -> RSAPublicKey:
        """The key of the certificate at that address, valid at that time, at which its webhook was received.

        Raises UnverifiedError if the address is not PayPal's or the certificate is not, and ProviderUnavailableError if
        it cannot be had now.
        """
        address = _URL.fullmatch(url)
        if address is None or (address[2] or "") != self._place:
            raise UnverifiedError("the certificate's address is not one of PayPal's")
        with self._lock:
            held = self._known(url, at) or self._unknown(url, at)
            key = self._verified(held.chain, at)
            if held.is_new:
                self._keep(url, held)
        return key

    def _verified(self, chain: list[x509.Certificate], at: datetime) -> RSAPublicKey:
        """The same whatever the chain comes from: PayPal, or the store."""
        store = self._trust = self._trust or Store(self._roots or _trusted())
        try:
            verifier = PolicyBuilder().store(store).time(at).build_server_verifier(x509.DNSName(_NAME[self._place]))
            verifier.verify(chain[0], chain[1:] + self._intermediates)
        except (VerificationError, ValueError) as error:
            raise UnverifiedError("the certificate is not one that PayPal signs with") from error
        key = chain[0].public_key()
        if not isinstance(key, RSAPublicKey):
            raise UnverifiedError("the certificate has no RSA key")
        return key

    def _known(self, url: str, at: datetime) -> _Held | None:
        """What is held, or was believed before this process began; fetched anew after a day."""
        now = self._clock()
        held = self._held.get(url) or self._read(url, at, now)
        if held is None:
            return None
        self._held.move_to_end(url)
        if now - held.since >= KEPT_FOR and now - held.tried_at >= RENEW_AGAIN:
            return self._renewed(url, held)
        return held

    def _read(self, url: str, at: datetime, now: float) -> _Held | None:
        """What the store has, if it would be believed now as well: what does not is fetched like any other."""
        if self._store is not None and now - self._read_at >= READ_AGAIN:
            self._stored, self._read_at = self._store.chains(), now
        try:
            chain = x509.load_pem_x509_certificates(self._stored[url].encode())
            self._verified(chain, at)
        except (KeyError, ValueError, UnverifiedError):
            return None
        return self._hold(url, _Held(chain=chain, since=now))

    def _renewed(self, url: str, held: _Held) -> _Held:
        """What is at its address now. An old one serves on: whether it was valid is asked of the webhook's time."""
        held.tried_at = self._clock()
        if held.tried_at - self._failed_at < BACK_OFF:
            return held
        try:
            chain = self._complete(url)
        except ProviderUnavailableError:
            self._failed_at = self._clock()
            return held
        except UnverifiedError:
            del self._held[url]
            self._refuse(url)
            if self._store is not None:
                self._store.forget(url)
            raise
        is_new = held.is_new or chain != held.chain
        return self._hold(url, _Held(chain=chain, since=held.tried_at, tried_at=held.tried_at, is_new=is_new))

    def _unknown(self, url: str, at: datetime) -> _Held:
        """Fetch within the budget what is waited for, by most webhooks first, until it is this one's turn."""
        if self._refused.get(url, float("-inf")) > self._clock():
            raise UnverifiedError("PayPal has no such certificate")
        own = self._waiting.get(url) or self._line_up(url)
        own.score += own.weight
        while self._may_fetch() and self._waiting:
            first = max(self._waiting, key=self._score)
            try:
                held = self._fetch_unknown(first)
            except (ProviderUnavailableError, UnverifiedError):
                if first == url:
                    raise
                continue
            if first == url:
                return held
        if self._moment() - at > WAITED_FOR and self._clock() - self._failed_at > WINDOW:
            self._waiting.pop(url, None)
            raise UnverifiedError("the certificate could not be had within an hour")
        raise ProviderUnavailableError("no certificate is fetched just now")

    def _line_up(self, url: str) -> _Waiting:
        """Where all places are taken, it takes that of the lowest score, and is then as good as that one was.

        Otherwise whoever names a thousand of them twice would keep out all that come later, however often they are
        named. So who is named by more than a thousandth of all webhooks has a place soon, and rises from there.
        """
        score = 0.0
        if len(self._waiting) >= WAITING:
            score = self._waiting.pop(min(self._waiting, key=self._score)).score
        own = self._waiting[url] = _Waiting(score=max(0.0, score - 1.0))
        return own

    def _score(self, url: str) -> float:
        return self._waiting[url].score

    def _may_fetch(self) -> bool:
        now = self._clock()
        while self._fetches and now - self._fetches[0][0] >= WINDOW:
            self._fetches.popleft()
        spent = sum(took for _, took in self._fetches)
        return now - self._failed_at >= BACK_OFF and len(self._fetches) < FETCHES and spent < FETCH_FOR

    def _fetch_unknown(self, url: str) -> _Held:
        began = self._clock()
        try:
            chain = self._complete(url)
        except ProviderUnavailableError:
            self._waiting[url] = _Waiting(weight=max(self._waiting[url].weight / 4, 1 / 64))
            self._failed_at = self._clock()
            raise
        except UnverifiedError:
            del self._waiting[url]
            self._refuse(url)
            raise
        finally:
            self._fetches.append((self._clock(), self._clock() - began))
        del self._waiting[url]
        return self._hold(url, _Held(chain=chain, since=began, tried_at=began, is_new=True))

    def _hold(self, url: str, held: _Held) -> _Held:
        self._held[url] = held
        _bound(self._held, KEPT)
        return held

    def _refuse(self, url: str) -> None:
        self._refused[url] = self._clock() + REFUSED_FOR
        _bound(self._refused, REFUSED)

    def _keep(self, url: str, held: _Held) -> None:
        held.is_new = False
        if self._store is not None:
            own = held.chain[0]
            self._store.keep(
                url,
                chain=b"".join(each.public_bytes(Encoding.PEM) for each in held.chain).decode(),
                fingerprint=own.fingerprint(SHA256()).hex(),
                ends_at=own.not_valid_after_utc,
            )

    def _complete(self, url: str) -> list[x509.Certificate]:
        """The chain from that address, completed by its authority where it comes alone."""
        chain = _parsed(self._fetch(url))
        if len(chain) == 1 and not self._intermediates and (issuer := _issuer_address(chain[0])):
            chain += _parsed(self._fetch(issuer))
        return chain

    def _fetch(self, url: str) -> bytes:
        if self._client is None:
            self._client = httpx.Client(timeout=ANSWER_WITHIN, follow_redirects=False, transport=self._transport)
        until = monotonic() + READ_WITHIN
        body = bytearray()
        try:
            with self._client.stream("GET", url) as answer:
                if answer.status_code in GONE:
                    raise UnverifiedError(f"certificate: status {answer.status_code}")
                if answer.status_code != httpx.codes.OK:  # whatever stands between us and PayPal may say so
                    raise ProviderUnavailableError(f"certificate: status {answer.status_code}")
                for piece in answer.iter_bytes():
                    body += piece
                    if len(body) > LARGEST:
                        raise ProviderUnavailableError("certificate: larger than any")
                    if monotonic() > until:
                        raise ProviderUnavailableError("certificate: the answer did not end in time")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ProviderUnavailableError(f"certificate: {type(error).__name__}") from error
        return bytes(body)


def load_certificates(path: str) -> list[x509.Certificate]:
    """Those in a PEM file. Raises ValueError or OSError."""
    return x509.load_pem_x509_certificates(Path(path).read_bytes())


def _parsed(content: bytes) -> list[x509.Certificate]:
    """The certificates of an answer: PayPal's own first, and what completes its chain, if anything does.

    Anything else is the page of a proxy or of somebody's maintenance, and says nothing of the webhook.
    """
    try:
        return (
            x509.load_pem_x509_certificates(content)
            if content.startswith(b"-----BEGIN")
            else [x509.load_der_x509_certificate(content)]
        )
    except ValueError as error:
        raise ProviderUnavailableError("certificate: neither in PEM nor in DER") from error


def _issuer_address(certificate: x509.Certificate) -> str | None:
    """Where the certificate says that its issuer's is, if that is its authority's own place."""
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except (x509.ExtensionNotFound, ValueError):
        return None
    places = [
        str(description.access_location.value)
        for description in access
        if description.access_method == AuthorityInformationAccessOID.CA_ISSUERS
    ]
    found = [match[1] for place in places if (match := _ISSUER.fullmatch(place))]
    return f"https://{found[0]}" if found else None


def _trusted() -> list[x509.Certificate]:
    """The roots of the certifi package, but for those that break the rules and soon cannot be read at all."""
    found = []
    for pem in _PEM.findall(Path(certifi.where()).read_bytes()):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", CryptographyDeprecationWarning)
                found.append(x509.load_pem_x509_certificate(pem))
        except (CryptographyDeprecationWarning, ValueError):
            continue
    return found


def _bound(kept: OrderedDict[str, Any], most: int) -> None:
    while len(kept) > most:
        kept.popitem(last=False)
