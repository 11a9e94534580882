"""What commands take for a number, an id or a day is one spelling, whichever command it is."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest
from flask import Flask

from checkout_service.terminal import Day, Id, Moment, Number, echo_list
from tests.conftest import Sql

ID = "018f0000-0000-7000-8000-000000000101"


def commands(group: click.Command, path: str = "") -> Iterator[tuple[str, click.Command]]:
    """Each command below this one, by the words that it is called by."""
    if isinstance(group, click.Group):
        for name, command in group.commands.items():
            yield from commands(command, f"{path} {name}".strip())
    else:
        yield path, group


def ours(app: Flask) -> Iterator[tuple[str, click.Command]]:
    yield from commands(app.cli)


def test_numbers_and_ids_of_every_command_are_read_in_one_way(app: Flask) -> None:
    seen = set()
    for path, command in ours(app):
        for parameter in command.params:
            kind = parameter.type
            assert not isinstance(kind, click.types.UUIDParameterType), (path, parameter.name)
            # database init is below the types of terminals, and has one that reads numbers alike.
            is_ours = isinstance(kind, Number) or path.startswith("database ")
            assert not isinstance(kind, click.types.IntParamType | click.DateTime) or is_ours, path
            seen |= {type(kind)} & {Day, Id, Moment, Number}
    assert seen == {Day, Id, Moment, Number}


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("payments", "refunds", "--limit", "１０"), "is not a valid integer"),
        (("payments", "refunds", "--limit", "1_0"), "is not a valid integer"),
        (("payments", "disputes", "--due-before", "2026-W01-1"), "is no day such as"),
        (("after-restore", "--events-past", "1", "--orders-past", "1", "--moment", "2026-11-29 10:04"), "is no moment"),
        (("payments", "show", f"{{{ID}}}"), "is not a valid UUID"),
        (("payments", "show", ID.replace("0", "０")), "is not a valid UUID"),
        (("webhooks", "list", "--limit", "0"), "is not in the range"),
    ],
)
def test_another_spelling_is_refused_by_name(app: Flask, arguments: tuple[str, ...], complaint: str) -> None:
    result = app.test_cli_runner().invoke(args=list(arguments))
    assert result.exit_code == 2
    assert complaint in result.output


def test_the_help_of_every_command_marks_what_may_be_left_out(app: Flask) -> None:
    for path, command in ours(app):
        context = click.Context(command)
        for parameter in command.params:
            if isinstance(parameter, click.Argument):
                shown = parameter.make_metavar(context)
                assert shown.startswith("[") == (not parameter.required), (path, shown)


def test_why_is_one_word_everywhere(app: Flask) -> None:
    names = {option for _, command in ours(app) for each in command.params for option in each.opts}
    assert "--why" in names
    assert "--reason" not in names


@pytest.mark.parametrize(
    ("command", "what"),
    [
        (("payments", "refunds"), "refunds"),
        (("payments", "disputes"), "disputes"),
        (("payments", "authorizations"), "authorisations"),
        (("webhooks", "list"), "webhooks"),
    ],
)
def test_an_empty_list_says_that_there_is_none(app: Flask, sql: Sql, command: tuple[str, ...], what: str) -> None:
    assert sql("SELECT count(*) AS n FROM payments")[0].n == 0
    result = app.test_cli_runner().invoke(args=list(command))
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", f"No {what} match.\n")


def test_a_list_that_may_go_on_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    echo_list(["one", "two"], limit=2, what="refunds")
    assert capsys.readouterr() == ("one\ntwo\n", "The newest 2 are shown; there may be more: --limit\n")
    echo_list(["one"], limit=2, what="refunds")
    assert capsys.readouterr() == ("one\n", "")
