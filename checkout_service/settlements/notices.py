"""Reads which reports webhooks told of. Nobody vouches for all of these names: whoever fetches looks at each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import psycopg

PROVIDER: Final = "adyen"
"""The only one whose webhooks name a report."""

MOST: Final = 50

KEPT_FOR: Final = timedelta(days=3)
"""How long a report that nobody has seen is looked for; longer only if no fetch has begun meanwhile."""

_FIRST_TIME: Final = timedelta(days=14)
"""How far a first fetch looks back."""

OVERLAP: Final = timedelta(minutes=30)
"""A webhook is filed some moments after it came, and a fetch may have begun meanwhile."""


def notices(
    connection: psycopg.Connection[Any], *, provider: str, now: datetime, fetched_at: datetime | None
) -> Sequence[str]:
    """Names of reports, verified ones and then the newest first: "ShopECOM/settlement_detail_report_batch_41.csv".

    ``fetched_at`` is when the last fetch began, before the one that is beginning; None where there was none. A report
    that is here is named if a webhook told of it since then, for it may have been made anew; any other one for some
    days. ``connection`` is one of the role of settlements. Raises psycopg.Error.
    """
    if provider != PROVIDER:
        return ()
    begun = (fetched_at or now - _FIRST_TIME) - OVERLAP
    values = {"since": min(begun, now - KEPT_FOR), "most": MOST, "provider": provider, "begun": begun}
    return [str(name) for (name,) in connection.execute(_NOTICES, values)]


_NOTICES: Final = """
SELECT notice.name FROM settlement_notices(%(since)s, %(most)s) AS notice
WHERE notice.received_at >= %(begun)s OR NOT EXISTS (
    SELECT FROM settlement_files WHERE provider = %(provider)s AND name = notice.name)
ORDER BY notice.is_verified DESC, notice.received_at DESC
"""
