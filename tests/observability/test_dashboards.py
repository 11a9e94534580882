"""The dashboards: made of their sources, and as Grafana reads them. What their queries find: tests/journeys."""

from __future__ import annotations

import importlib.util
import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from tests.observability.files import DASHBOARDS, HOME

UNITS = {"short", "s", "bytes", "ops", "reqps", "cpm", "percentunit"}
"""Grafana's names of units, of those that we use: @grafana/data, valueFormats/categories."""

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


def dashboard(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8")))


def test_the_files_are_what_make_dashboards_writes() -> None:
    spec = importlib.util.spec_from_file_location("dashboards", HOME / "dashboards.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)

    assert made.documents() == {path.name: path.read_text(encoding="utf-8") for path in DASHBOARDS}
    assert len(DASHBOARDS) == 5


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_can_be_imported_anywhere(path: Path) -> None:
    found = dashboard(path)
    assert found["uid"] == f"checkout-{path.stem}"
    assert "id" not in found, "an id is that of one Grafana's database"
    assert found["schemaVersion"] == 42
    assert found["title"]
    assert found["description"]
    variables = {variable["name"]: variable for variable in found["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    assert variables["datasource"]["query"] == "prometheus"
    assert variables["environment"]["datasource"] == DATASOURCE
    used = set(re.findall(r"\$\{?(\w+)", path.read_text(encoding="utf-8")))
    assert used == {"datasource", "environment", "__rate_interval", "__all"}


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_every_panel_says_what_it_shows(path: Path) -> None:
    panels = dashboard(path)["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    shown = [panel for panel in panels if panel["type"] != "row"]
    assert len({panel["title"] for panel in shown}) == len(shown) >= 8
    for panel in shown:
        assert panel["type"] in {"stat", "timeseries"}
        assert panel["description"].endswith(".")
        assert panel["datasource"] == DATASOURCE
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
        steps = [step["value"] for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]]
        assert steps[0] is None
        assert steps[1:] == sorted(steps[1:])
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]) > 0
        for target in panel["targets"]:
            assert target["datasource"] == DATASOURCE
            assert target["legendFormat"]
            assert "environment=~" in target["expr"]
            if panel["type"] == "timeseries":
                legend = re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])
                (labels,) = re.findall(r"by \(([^)]*)\)", target["expr"]) or [""]
                assert legend == [label for label in labels.split(", ") if label not in {"", "le"}]


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_panels_fill_the_width_and_cover_none_of_another(path: Path) -> None:
    places = [(panel["title"], panel["gridPos"]) for panel in dashboard(path)["panels"]]
    for _, place in places:
        assert place["x"] >= 0
        assert place["x"] + place["w"] <= 24
        assert place["h"] > 0
    for (one, a), (other, b) in combinations(places, 2):
        apart = (
            a["x"] + a["w"] <= b["x"]
            or b["x"] + b["w"] <= a["x"]
            or a["y"] + a["h"] <= b["y"]
            or b["y"] + b["h"] <= a["y"]
        )
        assert apart, f"{one} and {other}"
