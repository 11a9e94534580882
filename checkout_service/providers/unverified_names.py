"""What a webhook names, read before anybody knows who sent it: any bytes at all, and nothing is believed.

It decides only among which others a rejected webhook is kept. Where the names stand is data of the provider's spec, so
one reader meets the strangers' bytes, whatever the provider, and reads also for one that has no account here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import parse_qs

import orjson

from checkout_service.providers.spec import CONTENT_TYPE, WebhookFormat

MOST_NAMES: Final = 12
"""Of one webhook. Each is looked for in several indexes, and a stranger writes as many as are read."""

MOST_ITEMS: Final = 20
"""Of one list: the first ones."""

LONGEST_NAME: Final = 255

MOST_FIELDS: Final = 20
"""Of a form; one with more is none of a provider's."""


def names_in(
    webhook_format: WebhookFormat, body: bytes, headers: Mapping[str, str] = MappingProxyType({})
) -> tuple[str, ...]:
    """The names in a body at the places that the format lists, each once, the first places first; MOST_NAMES at most.

    ``headers`` are those that were kept with it. Never raises: a body that cannot be read names nothing.
    """
    if not webhook_format.names:
        return ()
    kind = webhook_format.kind_of(headers.get(CONTENT_TYPE))
    value = _form(body) if kind == "form" else _json(body)
    found: dict[str, None] = {}
    for place in webhook_format.names:
        for name in _names_at(value, place):
            if 1 <= len(name) <= LONGEST_NAME and name.isprintable():
                found[name] = None
            if len(found) == MOST_NAMES:
                return tuple(found)
    return tuple(found)


def _names_at(value: Any, place: str) -> Iterator[str]:
    """The texts at a place: of an object its id, of an address its last step, or the one behind the place's word."""
    path, _, word = place.partition("/")
    level = [value]
    for step in path.split("."):
        if step == "*":
            level = [inner for holder in level if isinstance(holder, list) for inner in holder[:MOST_ITEMS]]
        else:
            level = [holder[step] for holder in level if isinstance(holder, dict) and step in holder]
        level = level[:MOST_ITEMS]
    for end in level:
        name = end.get("id") if isinstance(end, dict) else end
        if not isinstance(name, str):
            continue
        if not name.startswith("https://"):
            yield name
        elif not word:
            yield name.rpartition("/")[2]
        elif found := name.partition(f"/{word}/")[2]:
            yield found.partition("/")[0]


def _json(body: bytes) -> Any:
    """As tolerant as the webhook receiver: what only a second reader understands names its payment all the same."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        return None


def _form(body: bytes) -> Any:
    try:
        fields = parse_qs(body.decode("utf-8"), max_num_fields=MOST_FIELDS)
    except ValueError:
        return None
    return {name: values[0] for name, values in fields.items()}
