"""The CSV file of a filtered list: made whole before its first byte goes out, or while it is read.

A file that was made whole is complete if it came. Its statements are done before anybody reads; what waits for a slow
reader is a file without a name. A stream may be of any length, and begins at once; that it is complete its last row
says (``END``).
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack
from time import monotonic
from typing import Final
from uuid import UUID

from flask import Response, current_app, request

from checkout_service.api.problems import Problem, TooManyAtOnce, TooManyWaiting, Unavailable
from checkout_service.api.responses import Finished
from checkout_service.server.places import ShareFullError, places
from checkout_service.server.slots import TooManyWaitingError
from checkout_service.server.spools import SPOOL_KEY, Spool, SpoolTooLargeError
from checkout_service.server.streams import STREAM_KEY, Stream

MOST_BYTES: Final = 256 * 2**20
"""Of one file."""

MADE_WITHIN: Final = 25.0
"""Seconds. A proxy that heard nothing for 30 s gives up (deploy/nginx/checkout.conf)."""

AT_ONCE: Final = 2
"""Files that a process makes at a time, and as many streams that it sends; of one caller one of both."""

END: Final = "end"
"""The first cell of a stream's last row. The second one is how many rows there are between the header and it."""

_KIND: Final = "text/csv; charset=utf-8; header=present"


class ExportTooLarge(Problem):
    status = 422
    slug = "export-too-large"
    title = "Export too large"
    default_detail = "These are more rows than one file takes: ask for them in parts, by the list's since and until."


class NoRoomForExport(Unavailable):
    slug = "no-room-for-export"
    title = "No room for an export"
    default_detail = "The service's disk has no room for a file at this moment: send the same request again."


def csv_answer(pages: Iterable[bytes], *, name: str, caller: str | UUID) -> Response:
    """These pages of CSV as a file of that name; ``caller`` is who asks, for their share of the places.

    To HEAD the headers alone, and nothing is read. Raises ExportTooLarge, NoRoomForExport, TooManyAtOnce,
    TooManyWaiting and DatabaseUnavailableError.
    """
    headers = _headers(name)
    if request.method == "HEAD":
        return Response(headers=headers, content_type=_KIND)
    try:
        with places().taken({"exports": AT_ONCE, f"exports of {caller}": 1}):
            spool = _made(pages)
    except ShareFullError:
        raise TooManyAtOnce from None
    request.environ[SPOOL_KEY] = spool
    headers["Content-Length"] = str(spool.size)
    return Finished(spool, headers=headers, content_type=_KIND)


def csv_stream(pages: Generator[bytes], *, name: str, caller: str | UUID) -> Response:
    """These pages of CSV as a file of that name, whose last one ends with the row ``END``; see ``csv_answer``.

    What fails after the first page ends the file without that row. Raises TooManyAtOnce and DatabaseUnavailableError.
    """
    if request.method == "HEAD":
        return Finished(headers=_headers(name), content_type=_KIND)  # without a length, as GET's is
    with ExitStack() as places_taken:
        try:
            places_taken.enter_context(places().taken({"streams": AT_ONCE, f"exports of {caller}": 1}))
        except ShareFullError:
            raise TooManyAtOnce from None
        stream = Stream(pages, context=current_app.app_context)  # of the app itself: read through its proxy
        stream.at_end = places_taken.pop_all().close
    request.environ[STREAM_KEY] = stream
    return Finished(stream, headers=_headers(name), content_type=_KIND)


def _headers(name: str) -> dict[str, str]:
    return {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }


def _made(pages: Iterable[bytes]) -> Spool:
    try:
        spool = Spool()
    except OSError as error:
        raise NoRoomForExport from error
    try:
        spool.fill(_in_time(pages), most_bytes=MOST_BYTES)
    except BaseException as error:
        spool.close()
        if isinstance(error, SpoolTooLargeError):
            raise ExportTooLarge from None
        if isinstance(error, TooManyWaitingError):
            raise TooManyWaiting from None
        if isinstance(error, OSError):
            raise NoRoomForExport from error
        raise
    return spool


def _in_time(pages: Iterable[bytes]) -> Iterator[bytes]:
    began = monotonic()
    for page in pages:
        if monotonic() - began > MADE_WITHIN:
            raise ExportTooLarge
        yield page
