"""Reads which reports webhooks told of. Nobody vouches for all of these names: whoever fetches looks at each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final

import psycopg

PROVIDER: Final = "adyen"
"""The only one whose webhooks name a report."""

MOST: Final = 100

KEPT_FOR: Final = timedelta(days=3)
"""How long a report that nobody has seen is looked for; longer only if no fetch has begun meanwhile."""

_FIRST_TIME: Final = timedelta(days=14)
"""How far a first fetch looks back."""

OVERLAP: Final = timedelta(minutes=30)
"""A webhook is filed some moments after it came, and a fetch may have begun meanwhile."""


def notices(
    connection: psycopg.Connection[Any], *, provider: str, now: datetime, fetched_at: datetime | None
) -> Sequence[str]:
    """Names of reports, verified ones first: "ShopECOM/settlement_detail_report_batch_41.csv".

    The others begin at a place that the moment decides, since anybody may have sent as many as they like: each of them
    is among the first once in a while.

    ``fetched_at`` is when the last fetch began, before the one that is beginning; None where there was none. A report
    that is here, by its name or by its merchant account and batch, is named if a webhook told of it since then, for it
    may have been made anew; any other one for some days. ``connection`` is one of the role of settlements. Raises
    psycopg.Error.
    """
    if provider != PROVIDER:
        return ()
    begun = (fetched_at or now - _FIRST_TIME) - OVERLAP
    values = {"since": min(begun, now - KEPT_FOR), "most": MOST, "provider": provider, "begun": begun}
    found = connection.execute(_NOTICES, values).fetchall()
    verified = [str(name) for name, is_verified in found if is_verified]
    others = [str(name) for name, is_verified in found if not is_verified]
    # By a hash: whoever fetches each hour would else see the same few of many.
    turn = int.from_bytes(sha256(now.isoformat().encode()).digest())
    begin = turn % len(others) if others else 0
    return [*verified, *others[begin:], *others[:begin]]


# Files that somebody imported have other names: what batches they have they say themselves.
_NOTICES: Final = """
WITH known AS MATERIALIZED (
    SELECT section.account, section.number
    FROM settlement_files AS file, jsonb_to_recordset(file.sections) AS section (account text, number bigint)
    WHERE file.provider = %(provider)s AND section.number IS NOT NULL
), named AS MATERIALIZED (
    SELECT notice.*, split_part(notice.name, '/', 1) AS account,
        substring(notice.name FROM '/settlement_detail_report_batch_([0-9]{1,9})(?:[._-]|$)')::bigint AS number
    FROM settlement_notices(%(since)s, %(most)s) AS notice
)
SELECT notice.name, notice.is_verified FROM named AS notice
WHERE notice.received_at >= %(begun)s OR NOT (
    EXISTS (SELECT FROM settlement_files WHERE provider = %(provider)s AND name = notice.name)
    OR EXISTS (SELECT FROM known WHERE known.account = notice.account AND known.number = notice.number))
ORDER BY notice.is_verified DESC, notice.received_at DESC
"""
