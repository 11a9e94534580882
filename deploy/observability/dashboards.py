"""Writes deploy/observability/grafana/*.json of panels/*.yaml: ``make dashboards``. What is delivered is the JSON.

Gauges that the database gives are shown by every web process alike: max, never sum. ``<E>`` in a query becomes the
filter by the dashboard's variable ``environment``; who labels no target with one sees everything.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

FOLDER: Final = Path(__file__).parent / "grafana"
SOURCES: Final = Path(__file__).parent / "panels"

SCHEMA_VERSION: Final = 42
"""Of Grafana 12 and 13, as @grafana/schema 13.2.3 has it."""

_DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
_ENVIRONMENT: Final = 'environment=~"$environment"'
_WIDTH: Final = 24


class Panel(NamedTuple):
    """One picture, as panels/NAME.yaml has it: its queries by legend, and the unit of its values, by Grafana's name."""

    title: str
    description: str
    unit: str
    queries: dict[str, str]
    is_stat: bool
    red_above: float | None


def documents() -> dict[str, str]:
    """The text of each file of ``grafana/`` by its name."""
    made = {}
    for path in sorted(SOURCES.glob("*.yaml")):
        source = yaml.safe_load(path.read_text(encoding="utf-8"))
        made[f"{path.stem}.json"] = json.dumps(_dashboard(path.stem, source), indent=2) + "\n"
    return made


def _dashboard(name: str, source: dict[str, Any]) -> dict[str, Any]:
    rows = [(row["title"], [_read(panel) for panel in row["panels"]]) for row in source["rows"]]
    return {
        "uid": f"checkout-{name}",
        "title": source["title"],
        "description": source["description"],
        "tags": ["checkout"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "1m",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "annotations": {"list": []},
        "links": [
            {
                "title": "Checkout",
                "type": "dashboards",
                "tags": ["checkout"],
                "asDropdown": True,
                "includeVars": True,
                "keepTime": True,
                "icon": "external link",
                "tooltip": "",
                "targetBlank": False,
                "url": "",
            }
        ],
        "templating": {"list": _variables()},
        "panels": list(_panels(rows)),
    }


def _read(source: dict[str, Any]) -> Panel:
    """A panel of the YAML; raises KeyError and TypeError for one that lacks something, or has something unknown."""
    given = dict(source)
    is_stat = "stat" in given
    title, about = given.pop("stat" if is_stat else "plot"), given.pop("about")
    return Panel(title, about, is_stat=is_stat, red_above=given.pop("red_above", None), **given)


def _variables() -> list[dict[str, Any]]:
    query = "label_values(checkout_database_up, environment)"
    return [
        {
            "name": "datasource",
            "label": "Prometheus",
            "type": "datasource",
            "query": "prometheus",
            "refresh": 1,
            "hide": 0,
            "multi": False,
            "includeAll": False,
        },
        {
            "name": "environment",
            "label": "Environment",
            "type": "query",
            "datasource": _DATASOURCE,
            "definition": query,
            "query": {"query": query, "refId": "environment"},
            "refresh": 2,
            "sort": 1,
            "hide": 0,
            "multi": True,
            "includeAll": True,
            "allValue": ".*",
            "current": {"text": ["All"], "value": ["$__all"]},
        },
    ]


def _panels(rows: Sequence[tuple[str, Sequence[Panel]]]) -> Iterator[dict[str, Any]]:
    """Each row from top to bottom: stats side by side, pictures three to a line."""
    number = top = 0
    for title, panels in rows:
        number += 1
        yield {
            "id": number,
            "type": "row",
            "title": title,
            "collapsed": False,
            "panels": [],
            "gridPos": {"x": 0, "y": top, "w": _WIDTH, "h": 1},
        }
        top += 1
        is_stats = panels[0].is_stat
        beside = len(panels) if is_stats else 2 if len(panels) % 3 else 3
        width, height = _WIDTH // beside, 4 if is_stats else 8
        for place, panel in enumerate(panels):
            number += 1
            line, column = divmod(place, beside)
            position = {"x": column * width, "y": top + line * height, "w": width, "h": height}
            yield _panel(number, panel, position)
        top += -(-len(panels) // beside) * height


def _panel(number: int, panel: Panel, position: dict[str, int]) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.red_above is not None:
        # Steps begin at their value: what lies just above the bound.
        steps.append({"color": "red", "value": panel.red_above or 1e-9})
    defaults: dict[str, Any] = {
        "unit": panel.unit,
        "min": None if panel.unit == "s" else 0,
        "color": {"mode": "thresholds" if panel.is_stat else "palette-classic"},
        "thresholds": {"mode": "absolute", "steps": steps},
        "mappings": [],
    }
    if defaults["min"] is None:
        del defaults["min"]
    options: dict[str, Any] = {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    if panel.is_stat:
        options = {
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "colorMode": "value",
            "graphMode": "area",
            "justifyMode": "auto",
            "orientation": "auto",
            "textMode": "value",
            "wideLayout": True,
            "showPercentChange": False,
            "percentChangeColorMode": "standard",
        }
    elif panel.red_above:
        defaults["custom"] = {"thresholdsStyle": {"mode": "line"}}
    return {
        "id": number,
        "type": "stat" if panel.is_stat else "timeseries",
        "title": panel.title,
        "description": panel.description,
        "datasource": _DATASOURCE,
        "gridPos": position,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
        "targets": [
            {
                "refId": chr(ord("A") + place),
                "datasource": _DATASOURCE,
                "expr": _filtered(query),
                "legendFormat": legend,
                "range": True,
                "instant": False,
                "editorMode": "code",
            }
            for place, (legend, query) in enumerate(panel.queries.items())
        ],
    }


def _filtered(query: str) -> str:
    return query.replace("{<E>,", f"{{{_ENVIRONMENT},").replace("<E>", f"{{{_ENVIRONMENT}}}")


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in documents().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
        sys.stdout.write(f"{name}\n")
