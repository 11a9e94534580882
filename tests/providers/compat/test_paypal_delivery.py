"""A webhook that PayPal's sandbox really signed, in 2019: its headers and certificate are in PayPal's Java SDK's tests.

Of its body the checksum alone is here, since a signature of PayPal's covers no more of it.
"""

from __future__ import annotations

import zlib
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from checkout_service.providers.adapters.paypal.certificates import Certificates, _issuer_address, _trusted
from checkout_service.providers.adapters.paypal.webhooks import verify
from checkout_service.providers.base import UnverifiedError
from checkout_service.providers.raw_webhook import RawWebhook

CERTIFICATE = x509.load_pem_x509_certificate(Path(__file__).with_name("paypal-2019.pem").read_bytes())
WEBHOOK, CHECKSUM = "0FV983392A0531201", 3674300368
HEADERS = {
    "paypal-cert-url": "https://api.sandbox.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-1d93a270",
    "paypal-transmission-id": "afa30d40-ca4a-11e9-ab68-7d4e2605c70c",
    "paypal-transmission-time": "2019-08-29T10:49:33Z",
    "paypal-auth-algo": "SHA256withRSA",
    "paypal-transmission-sig": (
        "K7DF5+hOyGS6v0xTZ9PkEO+BFNQmpryxw2hFlXbHgmxpu+883ldEC9HcL6ccEmB8sfy80y/Q3qcZZL1MR8Qi0e1ysylVj/yROgKK6zBsQPoNmgXC8yT"
        "iNoAjULuhk5Aoau0Itk3nrkgAfji1zvADlErMFM9VZe2nDvhM3nDMLjCi/K5fRjWp3eGo6Nx17GX/WIEibeKDyS+YdJMex3i+KO4aWmm9zznC/FJ5Y/"
        "ntd0MxOJNrM0r0f3y7c3e3sO5pB3oPgN6KzKVS5P6AWHqtS8acD3DjgCKZ1uqKz7q954G1aBz2/m0wRGOFFsv0/D3FE2uIheRRmoQtVSOAX7Aupg=="
    ),
}
RECEIVED_AT = datetime.fromisoformat("2019-08-29T10:49:35+00:00")


class Certified(Certificates):
    """Holds that one certificate for good: the root above it is no longer trusted by anybody."""

    def key(self, url: str, at: datetime) -> RSAPublicKey:
        key = CERTIFICATE.public_key()
        assert isinstance(key, RSAPublicKey)
        return key


def with_checksum(start: bytes, checksum: int) -> bytes:
    """The bytes and four more, so that their CRC-32 is the one wanted: as easily as that."""
    table = [zlib.crc32(bytes([byte])) ^ zlib.crc32(b"\0") for byte in range(256)]
    register = checksum ^ 0xFFFFFFFF
    places = []
    for _ in range(4):
        place = next(place for place in range(256) if table[place] >> 24 == register >> 24)
        places.append(place)
        register = ((register ^ table[place]) << 8) & 0xFFFFFFFF
    state, end = zlib.crc32(start) ^ 0xFFFFFFFF, bytearray()
    for place in reversed(places):
        end.append((state ^ place) & 0xFF)
        state = (state >> 8) ^ table[place]
    return start + bytes(end)


def check(webhook: str = WEBHOOK, received_at: datetime = RECEIVED_AT, checksum: int = CHECKSUM, **headers: str) -> int:
    body = with_checksum(b"what stood here is of no account", checksum)
    assert zlib.crc32(body) == checksum
    raw_webhook = RawWebhook(provider="paypal", headers=HEADERS | headers, body=body, received_at=received_at)
    return verify(raw_webhook, [webhook], Certified(), timedelta(seconds=300))


def test_what_paypal_signed_is_what_we_verify() -> None:
    assert check() == 0


def test_anything_else_is_not() -> None:
    for changed in (
        {"webhook": "0FV983392A0531202"},
        {"checksum": CHECKSUM - 1},
        {"paypal-transmission-id": "afa30d40-ca4a-11e9-ab68-7d4e2605c70d"},
        {"paypal-transmission-time": "2019-08-29T10:49:34Z"},
        {"received_at": RECEIVED_AT + timedelta(days=4)},
    ):
        with pytest.raises(UnverifiedError):
            check(**changed)  # type: ignore[arg-type]  # each has one of them


def test_paypals_own_certificate_tells_where_the_one_above_it_is() -> None:
    assert _issuer_address(CERTIFICATE) == "https://cacerts.digicert.com/DigiCertSHA2ExtendedValidationServerCA.crt"
    names = CERTIFICATE.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["messageverificationcerts.sandbox.paypal.com"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("messageverificationcerts.sandbox.paypal.com", "all candidates exhausted with no interior errors"),
        ("messageverificationcerts.paypal.com", "no matching subjectAltName"),
    ],
)
def test_paypals_own_certificate_lacks_nothing_but_what_stands_above_it(name: str, why: str) -> None:
    """Our verifier has no objection to its form, its name or its time; the authority's old root is gone since."""
    verifier = PolicyBuilder().store(Store(_trusted())).time(RECEIVED_AT).build_server_verifier(x509.DNSName(name))
    with pytest.raises(VerificationError, match=why):
        verifier.verify(CERTIFICATE, [])
