"""Keeps the certificates that providers' webhooks are verified by: a bounded table, read when an address is unknown."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

import structlog
from sqlalchemy import text

from checkout_service.database.engine import execute
from checkout_service.database.errors import DatabaseUnavailableError

MOST: Final = 100
"""Rows. Providers change their certificates a few times a year, and nobody else can have one kept."""

KEPT_PAST_END: Final = timedelta(days=90)
"""Webhooks that came before its end may be replayed for as long as they are kept, by default 30 days."""

_chains = text(f"""
    SELECT address, chain FROM believed_certificates WHERE ends_at > now() - CAST(:past_end AS interval)
    ORDER BY ends_at DESC LIMIT {MOST}
""")  # noqa: S608 (only our own constants)

_prune = text(f"""
    DELETE FROM believed_certificates WHERE ends_at <= now() - CAST(:past_end AS interval)
        OR id IN (
            SELECT id FROM believed_certificates WHERE address <> :address ORDER BY ends_at DESC OFFSET {MOST - 1}
        )
""")  # noqa: S608 (only our own constants)

_keep = text("""
    INSERT INTO believed_certificates (address, fingerprint, chain, ends_at)
    VALUES (:address, :fingerprint, :chain, :ends_at)
    ON CONFLICT (address) DO UPDATE SET fingerprint = EXCLUDED.fingerprint, chain = EXCLUDED.chain,
        ends_at = EXCLUDED.ends_at, updated_at = now()
""")

_forget = text("DELETE FROM believed_certificates WHERE address = :address")

log = structlog.get_logger(__name__)


class BelievedCertificates:
    """A ``CertificateStore`` in the table ``believed_certificates``, for a worker's application context.

    While the database is away nothing is kept, and a certificate is fetched where it would have been read.
    """

    def chains(self) -> Mapping[str, str]:
        try:
            return {row.address: row.chain for row in execute(_chains, {"past_end": KEPT_PAST_END})}
        except DatabaseUnavailableError:
            return {}

    def keep(self, address: str, *, chain: str, fingerprint: str, ends_at: datetime) -> None:
        row = {"address": address, "chain": chain, "fingerprint": fingerprint, "ends_at": ends_at}
        try:
            execute(_prune, {"past_end": KEPT_PAST_END, "address": address})
            execute(_keep, row)
        except DatabaseUnavailableError:
            return
        log.info("certificate_believed", address=address, fingerprint=fingerprint, ends_at=ends_at.isoformat())

    def forget(self, address: str) -> None:
        try:
            execute(_forget, {"address": address})
        except DatabaseUnavailableError:
            return
        log.warning("certificate_gone", address=address)
