"""The alarms: each fires on a made-up series, is silent on a good one, counts what is exposed, and has its page."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import click
import pytest
from flask import Flask

from checkout_service.settlements.cli import settlements
from tests.architecture.sources import paths, texts, tree
from tests.conftest import ROOT
from tests.observability.conftest import Promtool
from tests.observability.files import CASES, HOME, PAGES, RULES, alarms, expressions, metrics_in, read

COMMANDS_OF_THE_SCRIPT = {"health": [[]]}
"""What `checkout` does and `flask --app wsgi` does not."""


IDS = {"ID", "LISTING", "REFUND", "REQUEST", "MATCH", "PAYOUT", "FILE"}
"""Words in whose place an id is written."""


def test_the_rules_are_sound(promtool: Promtool) -> None:
    assert RULES
    status, shown = promtool("check", "rules", *RULES)
    assert status == 0, shown


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_alarms_fire_and_are_silent_as_their_cases_say(promtool: Promtool, path: Path) -> None:
    status, shown = promtool("test", "rules", path)
    assert status == 0, shown


def test_a_rule_that_is_wrong_is_found(promtool: Promtool, tmp_path: Path) -> None:
    rules = (HOME / "rules" / "stock.yaml").read_text()
    (tmp_path / "stock.yaml").write_text(rules.replace("> 120", "> 12000"))
    cases = read(ROOT / "tests" / "observability" / "rules" / "stock.yaml") | {"rule_files": ["stock.yaml"]}
    (tmp_path / "cases.yaml").write_text(repr(cases))

    status, shown = promtool("test", "rules", tmp_path / "cases.yaml")

    assert status == 1
    assert "alertname: CheckoutHoldPastEnd" in shown


def test_each_alarm_fires_once_and_is_silent_once_on_series_that_it_looks_at() -> None:
    fires, silent = set(), set()
    for group in _groups():
        fed = {re.split(r"[{ ]", series["series"])[0] for series in group["input_series"]}
        for case in group.get("alert_rule_test", ()):
            name = case["alertname"]
            if case["exp_alerts"]:
                fires.add(name)
            elif metrics_in(alarms()[name]["expr"]) - {"checkout:paid_per_session:ratio7d"} <= fed:
                silent.add(name)
    assert fires == silent == alarms().keys()


def test_every_query_is_of_what_is_exposed() -> None:
    exposed = {text for path in paths("checkout_service") for text in texts(tree(path))}
    exposed |= {
        f"{name}{end}" for name in exposed if name.endswith("_seconds") for end in ("_bucket", "_count", "_sum")
    }
    recorded = {
        rule["record"]
        for path in RULES
        for group in read(path)["groups"]
        for rule in group["rules"]
        if "record" in rule
    }
    sought = {name for expression in expressions() for name in metrics_in(expression)}

    assert len(sought) > 40
    assert not sought - exposed - recorded - {"up"}


def test_gauges_that_each_replica_shows_are_never_added_up() -> None:
    of_the_database = {
        text
        for path in (ROOT / "checkout_service" / "health").glob("*.py")
        for text in texts(tree(path))
        if re.fullmatch(r"[a-z]+(_[a-z]+)+", text)
    }
    for expression in expressions():
        for name in metrics_in(expression) & of_the_database:
            assert re.search(rf"\b(max|min|min_over_time|abs)( by \([^)]*\))? *\(\s*{name}\b", expression), expression


def test_each_metric_that_operating_calls_an_alarm_has_a_rule() -> None:
    page = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    table = page.partition("\n## An alarm\n")[2].partition("\n## ")[0]
    rows = [line.split(" | ")[0] for line in table.splitlines() if line.startswith("| ")]
    named = {name for row in rows for code in re.findall(r"`([^`]+)`", row) for name in metrics_in(code)}
    named = {name for name in named if name.count("_") >= 1}

    assert len(named) > 20
    assert not named - {name for rule in alarms().values() for name in metrics_in(rule["expr"])}


def test_where_a_command_settles_it_the_page_gives_it() -> None:
    """Under "Do": what was looked at is settled there and then, at night, by who has never done it."""
    settles = {
        "CheckoutRefundInDoubt": "payments settle-refund",
        "CheckoutCaptureInDoubt": "payments settle-capture",
        "CheckoutWebhooksFailed": "webhooks process",
        "CheckoutWebhooksRejected": "webhooks process",
        "CheckoutCatalogNotFollowed": "catalog sync",
        "CheckoutCatalogUnusable": "catalog sync",
    }
    for name, command in settles.items():
        done = (PAGES / f"{name}.md").read_text(encoding="utf-8").partition("\n## Do\n")[2].partition("\n## ")[0]
        assert f"checkout {command} " in done or f"checkout {command}\n" in done, name


def test_each_alarm_has_its_page_and_each_page_its_alarm() -> None:
    for name, rule in alarms().items():
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert rule["annotations"].keys() == {"summary", "runbook_url"}
        assert rule["annotations"]["runbook_url"] == f"docs/alarms/{name}.md"
        page = (PAGES / f"{name}.md").read_text(encoding="utf-8")
        headings = re.findall(r"^#+ (.+)$", page, re.M)
        assert headings == [name, "Look", "Do", "When it ends"]
        assert "**For customers and money.**" in page
    assert {path.stem for path in PAGES.iterdir()} == alarms().keys()


def test_the_page_of_observability_lists_each_alarm() -> None:
    page = (ROOT / "docs" / "observability.md").read_text(encoding="utf-8")

    assert set(re.findall(r"\(alarms/(\w+)\.md\)", page)) == alarms().keys()


@pytest.mark.parametrize("page", sorted(PAGES.iterdir()), ids=lambda path: path.stem)
def test_the_commands_of_a_page_can_be_given(app: Flask, page: Path) -> None:
    """As they stand there, with an id in the place of ID."""
    text = page.read_text(encoding="utf-8")
    fenced = "".join(re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S))
    lines = fenced.splitlines() + re.findall(r"`(checkout [^`]+)`", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))
    for line in lines:
        program, *words = [str(uuid4()) if word in IDS else word for word in shlex.split(line)]
        assert program == "checkout", line
        if words[0] in COMMANDS_OF_THE_SCRIPT:
            assert words[1:] in COMMANDS_OF_THE_SCRIPT[words[0]]
        elif words[0] == "settlements":
            _parse(settlements, words[1:])
        else:
            _parse(app.cli, words)


def test_a_command_that_is_not_there_is_seen(app: Flask) -> None:
    for wrong in ("payments shw X", "payments refund", "webhooks list --stat failed", "webhooks list --state gone"):
        with pytest.raises(click.UsageError):
            _parse(app.cli, wrong.split())


def test_the_scrape_configuration_is_sound(promtool: Promtool, tmp_path: Path) -> None:
    for path in (HOME / "prometheus.yml", *RULES):
        copy = tmp_path / path.relative_to(HOME)
        copy.parent.mkdir(exist_ok=True)
        copy.write_text(path.read_text())
    (tmp_path / "checkout-metrics-token").write_text("a-token")

    status, shown = promtool("check", "config", tmp_path / "prometheus.yml")

    assert status == 0, shown
    assert f"{len(RULES)} rule files found" in shown
    jobs = {job["job_name"] for job in read(HOME / "prometheus.yml")["scrape_configs"]}
    named = alarms()["CheckoutTargetMissing"]["expr"]
    assert jobs == set(re.findall(r'job="([^"]+)"', named))
    assert jobs == {job for job in jobs if re.search(r"checkout-(web|worker|housekeeping|sender)", job)}


def _groups() -> Iterator[dict[str, Any]]:
    for path in CASES:
        yield from read(path)["tests"]


def _parse(group: click.Group, words: list[str]) -> None:
    """Have click read the words as the command's, without running it. Raises UsageError."""
    context = click.Context(group)
    command: click.Command | None = group
    rest = list(words)
    while isinstance(command, click.Group):
        name = rest.pop(0)
        command = command.get_command(context, name)
        if command is None:
            raise click.UsageError(f"there is no {name}")
    assert command is not None
    command.make_context(words[-1], rest)
