"""Rates that a request is held to, and the headers that say so (draft-ietf-httpapi-ratelimit-headers, from -07 on).

    RateLimit-Policy: "sessions";q=60;w=60, "failed-attempts";q=20;w=3600
    RateLimit: "sessions";r=59;t=60, "failed-attempts";r=20

``q`` is how often within ``w`` seconds, ``r`` how often still, ``t`` the seconds until the count begins anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil

from flask import Flask, Response

from checkout_service.api.problems import RateLimited
from checkout_service.at_work import notes_at_work
from checkout_service.rates.counts import Rate, Used, use
from checkout_service.telemetry.metrics import callers_refused_total


def connect_rate_limits(app: Flask) -> None:
    """From here on answers to requests that were held to rates say how much of each is left."""

    @app.after_request
    def show_rates(response: Response) -> Response:
        used: Sequence[Used] | None = notes_at_work().pop("rates_used", None)
        if used:
            response.headers["RateLimit-Policy"] = ", ".join(
                f'"{each.rate.policy}";q={each.rate.quota};w={each.rate.window}' for each in used
            )
            response.headers["RateLimit"] = ", ".join(map(_shown, used))
        return response


def use_rates(rates: Iterable[Rate], *, unless: str = "") -> tuple[bytes | None, RateLimited | None]:
    """Use one of each rate, and the problem if one of them is used up: then none is used.

    Where the cache has something under the name ``unless``, that comes first, and nothing is used: in the same round
    trip, since a request to open a session waits for it. Rates without a quota (0) are left out. While the cache is
    away nothing is used up.
    """
    found = use([rate for rate in rates if rate.quota], unless=unless)
    notes_at_work().rates_used = found.used
    return found.kept, None if found.fits else _limited(found.used)


def hold_to(*rates: Rate) -> None:
    """Use one of each rate. Raises RateLimited where one of them is used up: then none is used."""
    limited = use_rates(rates)[1]
    if limited is not None:
        raise limited


def _limited(used: Sequence[Used]) -> RateLimited:
    callers_refused_total.labels(RateLimited.slug).inc()
    return RateLimited(retry_after=max(ceil(each.ends_in or 0) for each in used if not each.left))


def _shown(used: Used) -> str:
    ends = "" if used.ends_in is None else f";t={ceil(used.ends_in)}"
    return f'"{used.rate.policy}";r={used.left}{ends}'
