"""Where a provider adapter keeps certificates that it believed once, so that a start needs to fetch none of them.

An adapter knows no database: a worker gives it a store. What comes out of one is believed no more than what comes from
the network. The adapter verifies the chain each time that it uses it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol, runtime_checkable


class CertificateStore(Protocol):
    """Chains in PEM, the certificate itself first, by the address that it was fetched from. It raises nothing."""

    def chains(self) -> Mapping[str, str]:
        """All that are kept; none while they cannot be read."""

    def keep(self, address: str, *, chain: str, fingerprint: str, ends_at: datetime) -> None:
        """Keep a chain that was believed, in place of the one from that address. ``ends_at`` is its end (aware).

        ``fingerprint`` is the SHA-256 of the certificate in DER, in hexadecimal.
        """

    def forget(self, address: str) -> None:
        """Keep the one from there no longer."""


@runtime_checkable
class KeepsCertificates(Protocol):
    """A provider adapter that verifies webhooks by certificates which it fetches."""

    def keep_certificates(self, store: CertificateStore) -> None:
        """Keep those that are believed in this store from now on, and use what is in it."""
