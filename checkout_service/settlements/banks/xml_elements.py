"""Reads XML that strangers may have written, an element at a time, with memory for one alone.

There is no DTD, so there are no entities, and nothing is loaded from anywhere. How large the whole, one tag and the
depth may be is bounded; elements that nobody asks for are passed over while they are read.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any, BinaryIO, Final, NamedTuple
from xml.parsers import expat

from checkout_service.providers.reports import UnreadableReportError

LARGEST_XML: Final = 64 * 2**20
"""Bytes of one document."""

_DEEPEST: Final = 64
_LONGEST_TAG: Final = 256 * 1024
"""Bytes of one tag or comment: what is not whole is read again with each piece, which takes the square of its size."""

_LONGEST_TEXT: Final = 64 * 1024
_LONGEST_TEXTS: Final = 4 * 2**20
"""Characters of all that is kept of an element that is not whole yet; Python may take four bytes for each."""

_MOST_ELEMENTS: Final = 250_000
"""In one that is not whole yet: a batch of so many parts is larger than a document may be."""

_PIECE: Final = 64 * 1024


class Root(NamedTuple):
    """What a document is: the name of its root and of its message, each with its namespace before a blank."""

    root: str
    message: str


class Element:
    """An element with those children that are read. ``value`` is what ``reduce`` made of it."""

    __slots__ = ("children", "currency", "line", "name", "pieces", "size", "value")

    def __init__(self, name: str, currency: str, line: int) -> None:
        self.name = name
        self.currency = currency
        self.line = line
        self.size = 0
        self.pieces: list[str] = []
        self.children: list[Element] = []
        self.value: object = None

    @property
    def text(self) -> str:
        """Its own characters, without blanks around them."""
        return "".join(self.pieces).strip()

    def all(self, name: str) -> list[Element]:
        """Its children of this name."""
        return [child for child in self.children if child.name == name]

    def first(self, *path: str) -> Element | None:
        """The first element down this path of names, None where there is none."""
        found: Element | None = self
        for name in path:
            found = next((child for child in found.children if child.name == name), None) if found else None
        return found

    def text_at(self, *path: str) -> str:
        """The text of the first element down this path, '' where there is none."""
        found = self.first(*path)
        return found.text if found else ""


def elements(
    file: BinaryIO,
    *,
    check: Callable[[Root], object],
    containers: Collection[str],
    names: Collection[str],
    reduce: dict[str, Callable[[Element], object]],
) -> Iterator[tuple[str, Element]]:
    """Each child of the containers, with its container's name, when it is whole; and each container when it begins.

    ``check`` is called once root and message are known, and raises where they are not what is read. ``containers`` are
    names two levels below the root. ``names`` are read below them, all others are passed over, and so is what is of
    another namespace than the message. An element of a name in ``reduce`` is kept as what that function makes of it.

    Raises UnreadableReportError for what is no XML, or more of it than is read.
    """
    reading = _Reading(check, containers, names, reduce)
    size = 0
    while piece := file.read(_PIECE):
        size += len(piece)
        if size > LARGEST_XML:
            raise UnreadableReportError(f"the XML is larger than {LARGEST_XML >> 20} MiB")
        reading.feed(piece, is_last=False)
        if size - reading.parser.CurrentByteIndex > _LONGEST_TAG:
            raise UnreadableReportError("a tag or a comment is too long", line=reading.parser.CurrentLineNumber)
        yield from reading.take()
    reading.feed(b"", is_last=True)
    yield from reading.take()


_NOTHING: Final[list[Any]] = []
"""Shared by all elements that were reduced, and never added to: a list for each would take as much as what is kept."""


class _Reading:
    """The state between two pieces of a document."""

    def __init__(
        self,
        check: Callable[[Root], object],
        containers: Collection[str],
        names: Collection[str],
        reduce: dict[str, Callable[[Element], object]],
    ) -> None:
        self._check = check
        self._containers = containers
        self._names = frozenset(names)
        self._reduce = reduce
        self._depth = 0
        self._root = ""
        self._namespace = ""
        self._container = ""
        self._passed_over = 0
        """Below which depth everything is passed over; 0 for nothing."""
        self._open: list[Element] = []
        self._count = 0
        self._length = 0
        self._before: list[tuple[int, int]] = []
        """How many elements and characters there were before each that is open."""
        self._whole: list[tuple[str, Element]] = []
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
        self.parser.StartDoctypeDeclHandler = self._refuse_doctype
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters

    def feed(self, piece: bytes, *, is_last: bool) -> None:
        try:
            self.parser.Parse(piece, is_last)
        except expat.ExpatError as error:
            raise UnreadableReportError(
                f"this is no well-formed XML ({expat.ErrorString(error.code)})", line=error.lineno
            ) from None
        except (LookupError, UnicodeError, ValueError) as error:
            if isinstance(error, UnreadableReportError):
                raise
            raise UnreadableReportError("its encoding is not read", line=self.parser.CurrentLineNumber) from None

    def take(self) -> list[tuple[str, Element]]:
        whole, self._whole = self._whole, []
        return whole

    def _refuse_doctype(self, *_: object) -> None:
        raise UnreadableReportError("a DTD is not read", line=self.parser.CurrentLineNumber)

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise UnreadableReportError(
                f"elements are nested more than {_DEEPEST} deep", line=self.parser.CurrentLineNumber
            )
        if self._passed_over:
            return
        if self._depth == 1:
            self._root = tag
            return
        namespace, _, name = tag.rpartition(" ")
        if self._depth == 2:
            self._check(Root(self._root, tag))
            self._namespace = namespace
            return
        if namespace != self._namespace:
            self._passed_over = self._depth
            return
        if self._depth == 3:
            if name in self._containers:
                self._container = name
                self._whole.append((name, Element("", "", self.parser.CurrentLineNumber)))
            else:
                self._passed_over = self._depth
            return
        if name not in self._names:
            self._passed_over = self._depth
            return
        self._open.append(Element(name, attributes.get("Ccy", ""), self.parser.CurrentLineNumber))
        self._before.append((self._count, self._length))
        self._count += 1
        if self._count > _MOST_ELEMENTS:
            raise UnreadableReportError("an entry has too many elements", line=self._open[0].line)

    def _end(self, _: str) -> None:
        depth, self._depth = self._depth, self._depth - 1
        if self._passed_over:
            if depth == self._passed_over:
                self._passed_over = 0
            return
        if not self._open:
            return
        element = self._open.pop()
        count, length = self._before.pop()
        if element.name in self._reduce:
            element.value = self._reduce[element.name](element)
            element.children = element.pieces = _NOTHING
            self._count, self._length = count + 1, length
        if self._open:
            self._open[-1].children.append(element)
        else:
            self._count = self._length = 0
            self._whole.append((self._container, element))

    def _characters(self, text: str) -> None:
        if not self._open or self._passed_over:
            return
        element = self._open[-1]
        if not element.pieces and text.isspace():
            return  # before a text, or between children: a document of many indented parts has much of it
        element.size += len(text)
        if element.size > _LONGEST_TEXT:
            raise UnreadableReportError("a text is too long", line=self.parser.CurrentLineNumber)
        self._length += len(text)
        if self._length > _LONGEST_TEXTS:
            raise UnreadableReportError("an entry has too much text", line=self._open[0].line)
        element.pieces.append(text)
