"""``checkout doctor``: checks everything that surrounds the service, once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import click
from flask.cli import with_appcontext

from checkout_service.database.engine import lacks_schema
from checkout_service.database.errors import DatabaseUnavailableError
from checkout_service.doctor.broker import check_broker
from checkout_service.doctor.catalog import check_catalog, check_prices
from checkout_service.doctor.clocks import check_clocks, check_workers
from checkout_service.doctor.connections import check_connections
from checkout_service.doctor.database import check_invariants, check_readiness, check_server
from checkout_service.doctor.days import check_days
from checkout_service.doctor.durability import check_durability
from checkout_service.doctor.endpoints import check_endpoints
from checkout_service.doctor.environment import check_flower, check_worker_settings
from checkout_service.doctor.extensions import check_extensions
from checkout_service.doctor.findings import Finding, Level, unknown
from checkout_service.doctor.metrics import check_metrics
from checkout_service.doctor.origins import check_origins
from checkout_service.doctor.parts import check_parts
from checkout_service.doctor.proxies import check_proxies
from checkout_service.doctor.roles import check_roles
from checkout_service.doctor.sign_in import check_sign_in
from checkout_service.doctor.subjects import check_subjects

CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    check_readiness,
    check_server,
    check_durability,
    check_extensions,
    check_worker_settings,
    check_roles,
    check_connections,
    check_flower,
    check_broker,
    check_clocks,
    check_workers,
    check_invariants,
    check_subjects,
    check_proxies,
    check_origins,
    check_sign_in,
    check_metrics,
    check_endpoints,
    check_parts,
    check_days,
    check_catalog,
    check_prices,
)


@click.command("doctor")
@with_appcontext
def doctor() -> None:
    """Check settings, roles, migrations, durability and clocks, and say what to do; exits with 1 if something is wrong.

    Run it on every host: settings and clocks are each host's own.
    """
    click.echo(f"{Level.OK:8} {'web settings':22} complete")
    if report(CHECKS):
        raise SystemExit(1)


def report(checks: Iterable[Callable[[], Iterator[Finding]]]) -> bool:
    """Make the checks, in an application's context, and print what they find. Whether anything is wrong."""
    worst = False
    for check in checks:
        for finding in _made(check):
            click.echo(f"{finding.level:8} {finding.about:22} {finding.result}")
            if finding.remedy:
                click.echo(f"{'':8} {'':22} → {finding.remedy}")
            worst = worst or finding.level is Level.WRONG
    return worst


def _made(check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from check()
    except DatabaseUnavailableError:
        yield unknown(check.__name__.removeprefix("check_"), "not looked at", "The database has to answer first.")
    except Exception as error:  # noqa: BLE001 (one broken check must not hide the others)
        if lacks_schema(error):
            yield unknown(check.__name__.removeprefix("check_"), "not looked at", "Migrate first: see migrations.")
            return
        # Its text is not shown: a driver quotes what it cannot read, such as a part of an address.
        remedy = "This check broke: please report it, with the version."
        yield unknown(check.__name__.removeprefix("check_"), type(error).__name__, remedy)
