"""The certificates that PayPal signs its webhooks with.

From PayPal's hosts alone, kept, and believed by their chain.
"""

from __future__ import annotations

import re
import warnings
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Any, Final

import certifi
import httpx
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import AuthorityInformationAccessOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from checkout_service.providers.base import ProviderUnavailableError, UnverifiedError

ANSWER_WITHIN: Final = httpx.Timeout(3.0, connect=2.0)
READ_WITHIN: Final = 4.0
LARGEST: Final = 64 * 1024
KEPT: Final = 32
GONE: Final = frozenset({httpx.codes.NOT_FOUND, httpx.codes.GONE})
"""What PayPal answers of a certificate that it never had."""

KEPT_FOR: Final = 86_400.0
REFUSED_FOR: Final = 600.0

FETCHES: Final = 2
WINDOW: Final = 30.0
"""Seconds for that many fetches: a certificate and the one above it. Anybody may name certificates that do not exist,
and each fetch costs the set of webhooks that it is made for up to 4 s of the 20 s that a task has. PayPal changes its
certificate a few times a year."""

BACK_OFF: Final = 10.0
"""Seconds without a fetch after one that PayPal did not answer."""

_URL: Final = re.compile(r"https://(api|api-m)(\.sandbox)?\.paypal\.com/v1/notifications/certs/[A-Za-z0-9-]{1,100}")
"""Matched as text, so that nothing is left to two readings of an address: no user, port, last dot, query or escape."""

_ISSUER: Final = re.compile(r"https?://(cacerts\.digicert\.com/[A-Za-z0-9-]{1,100}\.crt)")
"""PayPal has been seen to send its own certificate alone, and the one above it is in no list of roots. Where that is
stands in PayPal's own; it is fetched from PayPal's authority alone, and believed by its chain like the other."""

_PEM: Final = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)

_NAME: Final = {"": "messageverificationcerts.paypal.com", ".sandbox": "messageverificationcerts.sandbox.paypal.com"}


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
    ) -> None:
        self._place = ".sandbox" if sandbox else ""
        self._roots = roots
        self._intermediates = list(intermediates)
        self._transport = transport
        self._clock = clock
        self._store: Store | None = None
        self._client: httpx.Client | None = None
        self._known: OrderedDict[str, tuple[float, list[x509.Certificate]]] = OrderedDict()
        self._refused: OrderedDict[str, float] = OrderedDict()
        self._fetches: deque[float] = deque(maxlen=FETCHES)
        self._away_until = float("-inf")
        self._lock = Lock()

    def key(self, url: str, at: datetime) -> RSAPublicKey:
        """The key of the certificate at that address, valid at that time.

        Raises UnverifiedError if the address is not PayPal's or the certificate is not, and ProviderUnavailableError if
        it cannot be had now.
        """
        address = _URL.fullmatch(url)
        if address is None or (address[2] or "") != self._place:
            raise UnverifiedError("the certificate's address is not one of PayPal's")
        with self._lock:
            chain = self._chain(url)
            store = self._store = self._store or Store(self._roots or _trusted())
        try:
            verifier = PolicyBuilder().store(store).time(at).build_server_verifier(x509.DNSName(_NAME[self._place]))
            verifier.verify(chain[0], chain[1:] + self._intermediates)
        except (VerificationError, ValueError) as error:
            raise UnverifiedError("the certificate is not one that PayPal signs with") from error
        key = chain[0].public_key()
        if not isinstance(key, RSAPublicKey):
            raise UnverifiedError("the certificate has no RSA key")
        return key

    def _chain(self, url: str) -> list[x509.Certificate]:
        now = self._clock()
        since, chain = self._known.get(url, (float("-inf"), []))
        if now - since < KEPT_FOR:
            self._known.move_to_end(url)
            return chain
        if self._refused.get(url, float("-inf")) > now:
            raise UnverifiedError("PayPal has no such certificate")
        if now < self._away_until or (len(self._fetches) == FETCHES and now - self._fetches[0] < WINDOW):
            if chain:
                return chain
            raise ProviderUnavailableError("no certificate is fetched just now")
        try:
            chain = _parsed(self._fetch(url))
            if len(chain) == 1 and not self._intermediates and (issuer := _issuer_address(chain[0])):
                chain += _parsed(self._fetch(issuer))
        except ProviderUnavailableError:
            self._away_until = self._clock() + BACK_OFF
            if chain:  # an old one serves on: whether it was valid is asked of the webhook's time in any case
                return chain
            raise
        except UnverifiedError:
            self._refused[url] = now + REFUSED_FOR
            _bound(self._refused)
            raise
        self._known[url] = (now, chain)
        _bound(self._known)
        return chain

    def _fetch(self, url: str) -> bytes:
        if self._client is None:
            self._client = httpx.Client(timeout=ANSWER_WITHIN, follow_redirects=False, transport=self._transport)
        self._fetches.append(self._clock())
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


def _bound(kept: OrderedDict[str, Any]) -> None:
    while len(kept) > KEPT:
        kept.popitem(last=False)
