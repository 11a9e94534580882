"""What every page and form of the console works with: its blueprint, its forms' tokens and keys, its words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

from flask import current_app, render_template, request, url_for

from checkout_service.api.problems import MalformedBody
from checkout_service.commands.models import LONGEST_OPERATOR, LONGEST_WHY, Action, Door
from checkout_service.commands.operations import Origin
from checkout_service.commands.queries import Command
from checkout_service.console.access import operator
from checkout_service.console.filters import read_id
from checkout_service.console.svg_plots import seconds
from checkout_service.console.untrusted import visible
from checkout_service.pages import forms
from checkout_service.pages.base import PageBlueprint
from checkout_service.settings.values import WebSettings

SOON: float = 60.0
"""Seconds for which a page looks again by itself for the result of a command."""


class ConsoleBlueprint(PageBlueprint):
    """Routes below /ops."""

    def __init__(self, name: str, import_name: str) -> None:
        super().__init__(name, import_name, url_prefix="/ops", template_folder="templates")


def page(template: str, **values: Any) -> str:
    """A page of the console, which knows who looks at it."""
    return render_template(
        f"console/{template}",
        operator=operator(),
        may=operator().may,
        csrf=forms.token(_shown_to()),
        new_key=uuid4,
        flower_url=_settings().flower_url,
        visible=visible,
        read_time=datetime.fromisoformat,
        seconds=seconds,
        lag=lag,
        longest_note=LONGEST_WHY,
        today=datetime.now(UTC).date(),
        **values,
    )


def listing(template: str, *, faults: Mapping[str, str], **values: Any) -> tuple[str, int]:
    """A page with a list that an address narrows, and its status: 400 where a filter cannot be read."""
    return page(template, **values), 400 if faults else 200


def check_form() -> None:
    """Raise FormNotOurs unless the form at work is one that we showed to its sender."""
    forms.check(_shown_to())
    who, oidc = operator(), _settings().console_oidc
    if who.by_cookie and oidc and not forms.is_from(oidc.origin):
        raise forms.FormNotOurs


def origin(*, note_needed: bool = False) -> Origin:
    """Who sent the form at work, with which key and why. Raises FormNotOurs, and MalformedBody without key or note."""
    check_form()
    key = read_id(request.form.get("key"))
    if key is None:
        raise MalformedBody("The form lacks its key: go back, reload the page, and try again.")
    why = request.form.get("why", "").strip()
    if note_needed and not why:
        raise MalformedBody("Say why, in a few words, for whoever looks at this later. Go back and write a note.")
    if len(why) > LONGEST_WHY:
        raise MalformedBody(f"The note is longer than {LONGEST_WHY} characters. Go back and shorten it.")
    return Origin(key=key, door=Door.CONSOLE, operator=operator().name[:LONGEST_OPERATOR], why=why)


def lag(webhook: Any) -> float:
    """Seconds from a webhook's arrival until it was done with, or until now."""
    until = webhook.processed_at or datetime.now(UTC)
    passed: float = (until - webhook.received_at).total_seconds()
    return max(passed, 0.0)


def awaited(commands: Iterable[Command]) -> bool:
    """Whether the worker is still expected to carry one of these out, soon enough to wait for it."""
    now = datetime.now(UTC)
    return any(
        command.action is not Action.PROCESS and command.open and (now - command.created_at).total_seconds() < SOON
        for command in commands
    )


def address(endpoint: str, query: Mapping[str, str], **changes: str | None) -> str:
    """The address of a list with this query, some of it changed; None leaves a name out."""
    filters = {name: value for name, value in {**query, **changes}.items() if value is not None}
    return url_for(endpoint) + ("?" + urlencode(filters) if filters else "")


def task_in_address() -> UUID | None:
    """The task that a command sent, as a redirect carries it."""
    return read_id(request.args.get("task"))


def _shown_to() -> str:
    return f"console:{operator().name}"


def _settings() -> WebSettings:
    found: WebSettings = current_app.extensions["settings"]
    return found
