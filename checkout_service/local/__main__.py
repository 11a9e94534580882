"""``python -m checkout_service.local run|demo``: what ``make run`` and ``make demo`` do."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from uuid import uuid4

from checkout_service.local.data_folder import (
    DATA,
    DataFolderError,
    DataFolderInUseError,
    fixed_ports,
    free_ports,
    take_data_folder,
)
from checkout_service.local.demo_catalog import CATALOGUE
from checkout_service.local.launch import ServerError
from checkout_service.local.processes import ProcessError
from checkout_service.local.purchase import Purchase, PurchaseError, customer_token, first_listing
from checkout_service.local.screen import Screen, show_seconds
from checkout_service.local.session import (
    Session,
    StoppedError,
    has_payments,
    raise_when_stopped,
    replacing_on_hangup,
    session,
    show_purchase,
)

FAILURES = (DataFolderError, ServerError, ProcessError, PurchaseError, PermissionError)


def main(arguments: list[str]) -> int:
    """Returns the exit status: 0 also when Ctrl-C or SIGTERM ended a run in good order."""
    commands = {"run": run, "demo": demo}
    if len(arguments) != 1 or arguments[0] not in commands:
        sys.stderr.write("usage: python -m checkout_service.local run|demo\n")
        return 2
    if os.environ.get("ENVIRONMENT") == "production":
        sys.stderr.write("ENVIRONMENT is production: this is for one machine to try things on; see the Procfile\n")
        return 2
    screen = Screen(colour="NO_COLOR" not in os.environ)
    raise_when_stopped()
    try:
        return commands[arguments[0]](screen)
    except FAILURES as error:
        screen.problem(str(error))
        return 1


def run(screen: Screen) -> int:
    """Serve until stopped; the data stays in the data folder, and nothing is added to data that was kept."""
    try:
        screen.title("checkout service")
        try:
            data = take_data_folder(DATA)
        except DataFolderInUseError:
            fixed_ports(os.environ)  # the port is the better explanation, if that is taken too
            raise
        started = time.monotonic()
        with session(data, os.environ, ports=fixed_ports(os.environ), kept=True, screen=screen) as running:
            screen.line(f"\n  up after {show_seconds(time.monotonic() - started)}")
            show_addresses(running, first_purchase(running, screen), data.logs, screen)
            with replacing_on_hangup() as requested:
                running.processes.watch(
                    lambda event: screen.problem(f"{time.strftime('%T')} {event}"), running.servers, replace=requested
                )
    except StoppedError as signal:
        screen.line(f"\n{signal}: everything is stopped; the data stays in {DATA}")
    return 0


def demo(screen: Screen) -> int:
    """One purchase in a folder that is gone afterwards."""
    screen.title("checkout service: a demonstration")
    started = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="checkout-demo-"))
    folder.chmod(0o711)  # PostgreSQL has another account than root, and has to pass
    try:
        data = take_data_folder(folder)
        with session(data, os.environ, ports=free_ports(), kept=False, screen=screen) as running:
            show_purchase(running, screen)
            screen.line()
    except StoppedError as signal:
        screen.problem(f"{signal}: stopped before the end")
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    took = show_seconds(time.monotonic() - started)
    screen.line(f"  everything is stopped again, nothing is left; {took} in all\n")
    return 0


def first_purchase(running: Session, screen: Screen) -> Purchase | None:
    """A purchase to see that all works, and None where the data has payments already: nothing is added to those."""
    if not has_payments(running):
        return show_purchase(running, screen)
    screen.line("\n  The data of an earlier run is kept, so no purchase is added to it.")
    return None


def show_addresses(running: Session, purchase: Purchase | None, logs: Path, screen: Screen) -> None:
    """Where everything is, and what to try."""
    base = running.base_url
    environment = running.environment
    user, _, password = environment["FLOWER_BASIC_AUTH"].split(",")[0].partition(":")
    operator, _, console_password = environment["CONSOLE_BASIC_AUTH"].split(",")[0].partition(":")
    screen.title("Serving until Ctrl-C")
    if environment.get("PAGES", "on").lower() not in {"off", "false", "no", "0"}:
        screen.pair("shop", f"{base}/   {screen.bold('open this in a browser')}")
    screen.pair("API", base)
    screen.pair("docs", f"{base}/api/docs")
    screen.pair("metrics", f"{base}/metrics")
    if environment.get("CONSOLE", "on").lower() not in {"off", "false", "no", "0"}:
        screen.pair("console", f"{base}/ops   user {operator}, password {console_password}")
    screen.pair("Flower", f"{running.flower_url}   user {user}, password {password}")
    screen.pair("logs", str(logs))
    screen.title("Try it, as the customer who just paid" if purchase else "Try it, as a new customer")
    screen.line(f"  TOKEN={purchase.token if purchase else customer_token(uuid4(), environment)}")
    authorization = '-H "Authorization: Bearer $TOKEN"'
    if purchase:
        screen.line(f"  curl -s {authorization} {base}/api/payments/{purchase.payment_id}")
        screen.line(f"  curl -s {authorization} {base}/api/orders/{purchase.order_id}")
    screen.line(f"  curl -s {authorization} {base}/api/cart")
    body = f'{{"listing": "{first_listing(CATALOGUE)["id"]}", "qty": 3}}'
    screen.line(f"  curl -s {authorization} {base}/api/cart/items --json '{body}'")
    screen.line()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
