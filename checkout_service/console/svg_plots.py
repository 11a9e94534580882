"""Turns numbers into the shapes of a picture; templates draw them as SVG, with the numbers as a table beside it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

WIDTH: Final = 640
HEIGHT: Final = 220
LEFT: Final = 76
RIGHT: Final = 12
TOP: Final = 12
BOTTOM: Final = 28

Height = Callable[[float], float]

LEAST_LAG: Final = 0.001
"""Seconds at the foot of a logarithmic axis."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A mark on an axis: where, and what is written there."""

    at: float
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A rectangle, of the look that its kind has."""

    kind: str
    x: float
    y: float
    width: float
    height: float
    words: str = ""
    number: int = 0
    more: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line through points; ``pieces`` are apart where numbers are missing."""

    kind: str
    pieces: Sequence[str]
    dots: Sequence[tuple[float, float]]
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """A picture over time."""

    bars: Sequence[Bar] = ()
    lines: Sequence[Line] = ()
    across: Sequence[Tick] = ()
    up: Sequence[Tick] = ()


def stacked(minutes: Sequence[int], counts: Sequence[dict[str, int]], kinds: Sequence[str]) -> Plot:
    """A bar a minute, made of its kinds from the bottom up."""
    top, ticks = _scale(max((sum(found.values()) for found in counts), default=0))
    slot = (WIDTH - LEFT - RIGHT) / max(len(minutes), 1)
    bars = []
    for place, found in enumerate(counts):
        base = float(HEIGHT - BOTTOM)
        for kind in kinds:
            height = found.get(kind, 0) / top * (HEIGHT - TOP - BOTTOM)
            if height:
                base -= height
                x = LEFT + place * slot + slot * 0.1
                bars.append(Bar(kind=kind, x=_r(x), y=_r(base), width=_r(slot * 0.8), height=_r(height)))
    up = [Tick(at=_r(_height(value / top)), words=f"{value:,}".replace(",", " ")) for value in ticks]
    return Plot(bars=bars, across=_clock(minutes), up=up)


def lines(minutes: Sequence[int], series: Mapping[str, Sequence[float | None]]) -> Plot:
    """A line a series of seconds, on a logarithmic axis, since a median and a tail are far apart."""
    values = [value for found in series.values() for value in found if value is not None]
    low = math.floor(math.log10(max(min(values, default=0.01), LEAST_LAG)))
    high = max(math.ceil(math.log10(max(max(values, default=1.0), LEAST_LAG))), low + 1)

    def height(value: float) -> float:
        return _r(_height((math.log10(max(value, 10.0**low)) - low) / (high - low)))

    drawn = [_line(kind, minutes, found, height) for kind, found in series.items()]
    up = [Tick(at=height(10.0**power), words=seconds(10.0**power)) for power in range(low, high + 1)]
    return Plot(lines=drawn, across=_clock(minutes), up=up)


def area(minutes: Sequence[int], values: Sequence[float], kind: str) -> Plot:
    """One line of seconds from nought."""
    top, ticks = _scale(max((*values, 1.0)))
    drawn = _line(kind, minutes, values, lambda value: _r(_height(value / top)))
    return Plot(
        lines=[drawn],
        across=_clock(minutes),
        up=[Tick(at=_r(_height(value / top)), words=seconds(float(value)) if value else "0") for value in ticks],
    )


LYING: Final = 50
"""Units from one lying bar to the next: its name, which may be long, is above it."""


def lying(numbers: Sequence[tuple[str, int]], *, most: int) -> Sequence[Bar]:
    """A bar a kind, one below another, each under its name; a number not counted to its end is said to be more."""
    longest = max((number for _, number in numbers), default=0) or 1
    return [
        Bar(
            kind=kind,
            x=0,
            y=place * LYING + 24,
            width=_r(max(number / longest * 560, 2 if number else 0)),
            height=18,
            words=kind,
            number=number,
            more=number >= most,
        )
        for place, (kind, number) in enumerate(numbers)
    ]


def seconds(value: float) -> str:
    """A span of time as people say it: 4 ms, 2.5 s, 3 min, 5 h, 2 d."""
    if value < 0.0005:
        return "0 ms"
    if value < 1:
        return f"{value * 1000:.3g} ms"
    if value < 120:
        return f"{value:.3g} s"
    if value < 7200:
        return f"{value / 60:.0f} min"
    if value < 172_800:
        return f"{value / 3600:.0f} h"
    return f"{value / 86_400:.0f} d"


def _line(kind: str, minutes: Sequence[int], values: Sequence[float | None], height: Height) -> Line:
    pieces: list[list[tuple[float, float]]] = [[]]
    for place, value in enumerate(values):
        if value is None:
            pieces.append([])
        else:
            pieces[-1].append((_across(place, len(minutes)), height(value)))
    drawn = [" ".join(f"{x},{y}" for x, y in piece) for piece in pieces if len(piece) > 1]
    alone = [piece[0] for piece in pieces if len(piece) == 1]
    return Line(kind=kind, pieces=drawn, dots=alone)


def _scale(most: float) -> tuple[float, list[int]]:
    """The top of an axis from nought, and some four round numbers along it."""
    step = 1
    for step in (factor * 10**power for power in range(9) for factor in (1, 2, 5)):
        if most / step <= 4:
            break
    marks = math.ceil(most / step) or 1
    return float(marks * step), [step * number for number in range(marks + 1)]


def _clock(minutes: Sequence[int]) -> list[Tick]:
    if not minutes:
        return []
    apart = max(len(minutes) // 6, 1)
    return [
        Tick(at=_across(place, len(minutes)), words=f"{datetime.fromtimestamp(minute * 60, UTC):%H:%M}")
        for place, minute in enumerate(minutes)
        if place % apart == 0 and place <= len(minutes) - max(apart // 2, 1)
    ]


def _across(place: int, places: int) -> float:
    slot = (WIDTH - LEFT - RIGHT) / max(places, 1)
    return _r(LEFT + (place + 0.5) * slot)


def _height(share: float) -> float:
    return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


def _r(value: float) -> float:
    return round(value, 1)
