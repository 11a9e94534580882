"""What a stranger's bytes are shown as: never trusted, never run, always bounded.

A webhook's type and event id are what it says of itself, verified or not. Templates escape whatever comes from here;
what a browser or a reader could be misled by (control characters, marks that turn the direction of writing) is made
visible.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

LARGEST_READ: Final = 256 * 1024
SHOWN: Final = 64 * 1024
"""Characters of a body that a page shows; the webhook can be downloaded whole."""

LONGEST_WORD: Final = 80
DEEPEST: Final = 40
"""Steps to the right after which nested values stand below one another."""

_SECRET: Final = ("signature", "authorization", "cookie", "secret", "token", "hmac", "transmission-sig", "password")

# Where providers put them, the most telling first; a dot leads into an object, a number into a list.
_TYPES: Final = (
    "notificationItems.0.NotificationRequestItem.eventCode",
    "event_type",
    "eventType",
    "type",
    "event",
    "resource_type",
    "status",
)
_EVENT_IDS: Final = (
    "notificationItems.0.NotificationRequestItem.pspReference",
    "raw_data.event_id",
    "event_id",
    "eventId",
    "id",
)
_EVENT_HEADERS: Final = ("webhook-id", "svix-id", "paypal-transmission-id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a webhook says of itself; None where it says nothing, or is too large to be asked."""

    type: str | None = None
    event_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A body as text: its ``kind`` (json, form, text or bytes), and whether there is more of it."""

    kind: str
    pretty: str
    raw: str
    cut: bool


def what_it_says(body: bytes | None, headers: Mapping[str, Any]) -> Content:
    """The type and event id that a webhook claims."""
    named = next((headers[name] for name in _EVENT_HEADERS if isinstance(headers.get(name), str)), None)
    found = _fields(body)
    return Content(type=_first(found, _TYPES), event_id=_word(named) or _first(found, _EVENT_IDS))


def show_body(body: bytes) -> Shown:
    """The body twice: in good order, and as it came."""
    kind, pretty = _in_order(body)
    raw = _dump(body) if kind == "bytes" else visible(body.decode()[: SHOWN + 1])
    cut = len(body) > SHOWN or len(pretty) > SHOWN or len(raw) > SHOWN
    return Shown(kind=kind, pretty=pretty[:SHOWN], raw=raw[:SHOWN], cut=cut)


def show_headers(headers: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and values in order; what could sign or open something in our name is struck out."""
    return [
        (visible(name), f"(not shown: {len(str(value))} characters)" if _secret(name) else visible(str(value))[:2000])
        for name, value in sorted(headers.items())
    ]


def visible(text: str) -> str:
    """The text with everything that is not seen, or turns what is seen around, written as an escape."""
    if text.isprintable():
        return text
    return "".join(
        char if char in "\n\t" or unicodedata.category(char) not in _UNSEEN else _escape(char) for char in text
    )


_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def _escape(char: str) -> str:
    return f"\\u{ord(char):04x}" if ord(char) <= 0xFFFF else f"\\U{ord(char):08x}"


def _fields(body: bytes | None) -> Any:
    """The body as an object, from JSON or a form; empty for everything else."""
    if not body or len(body) > LARGEST_READ:
        return {}
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        pass
    try:
        return dict(parse_qsl(body.decode(), max_num_fields=100)) if b"=" in body[:1000] else {}
    except ValueError:
        return {}


def _first(found: Any, paths: tuple[str, ...]) -> str | None:
    for path in paths:
        if (word := _word(_at(found, path))) is not None:
            return word
    return None


def _at(found: Any, path: str) -> Any:
    for step in path.split("."):
        if isinstance(found, dict):
            found = found.get(step)
        elif isinstance(found, list) and step.isdigit() and int(step) < len(found):
            found = found[int(step)]
        else:
            return None
    return found


def _word(value: Any) -> str | None:
    """A short text; numbers, objects and nothing at all are none."""
    if not isinstance(value, str) or not value.strip():
        return None
    shown = visible(value.strip()[: LONGEST_WORD + 1])
    return shown if len(shown) <= LONGEST_WORD else shown[:LONGEST_WORD] + "…"


def _in_order(body: bytes) -> tuple[str, str]:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return "bytes", _dump(body)
    try:
        json.loads(text)
        return "json", visible(_indented(text)[: SHOWN + 1])
    except (ValueError, RecursionError):
        pass
    if "=" in text and "\n" not in text.strip() and "<" not in text:
        try:
            pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True, max_num_fields=1000)
        except ValueError:
            pairs = []
        if pairs:
            return "form", "\n".join(f"{visible(name)} = {visible(value)}" for name, value in pairs)
    return "text", visible(text[: SHOWN + 1])


_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+', re.S)


def _indented(text: str) -> str:
    """JSON in good order, piece by piece: numbers stay as they were written, a key that stands twice is seen twice."""
    written: list[str] = []
    size = depth = 0
    before = ""
    for found in _TOKEN.finditer(text):
        piece = found[0]
        opens, closes = piece in ("{", "["), piece in ("}", "]")
        depth -= closes
        if (before in ("{", "[") and not closes) or before == "," or (closes and before not in ("{", "[")):
            written.append("\n" + "  " * min(depth, DEEPEST))
            size += len(written[-1])
        elif before == ":":
            written.append(" ")
        written.append(piece)
        size += len(piece)
        if size > SHOWN:
            break
        depth += opens
        before = piece
    return "".join(written)


def _dump(body: bytes) -> str:
    """As hexdump writes it, sixteen bytes a line."""
    lines = []
    for start in range(0, min(len(body), SHOWN // 4), 16):
        piece = body[start : start + 16]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in piece)
        lines.append(f"{start:08x}  {piece.hex(' '):47}  {text}")
    return "\n".join(lines)


def _secret(name: str) -> bool:
    lowered = name.lower()
    return any(part in lowered for part in _SECRET)
