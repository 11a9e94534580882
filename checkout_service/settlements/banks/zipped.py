"""The documents of a ZIP, as German banks send them: bounded in number and size, whatever its directory says."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing
from io import BufferedIOBase
from typing import BinaryIO, Final, cast

from checkout_service.providers.reports import UnreadableReportError
from checkout_service.settlements.banks.xml_elements import LARGEST_XML

MOST_MEMBERS: Final = 1000
_MOST_BYTES: Final = 256 * 2**20
"""Of all members together, once they are unpacked."""

_LARGEST_DIRECTORY: Final = 2**20
_END: Final = b"PK\x05\x06"
_END_SIZE: Final = 22
_LONGEST_COMMENT: Final = 65535
_IS_ENCRYPTED: Final = 1


def members(file: BinaryIO) -> Iterator[tuple[str, BinaryIO]]:
    """Each document with its name. What is read of one ends with the next.

    Raises UnreadableReportError for a ZIP that is too large, locked or broken, when that is seen.
    """
    _check_directory(file)
    left = _MOST_BYTES
    try:
        with closing(zipfile.ZipFile(file)) as archive:
            for info in archive.infolist():
                if info.is_dir() or _is_of_a_system(info.filename):
                    continue
                if info.flag_bits & _IS_ENCRYPTED:
                    raise UnreadableReportError(f"{_show(info)} of the ZIP is encrypted")
                if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                    raise UnreadableReportError(f"{_show(info)} of the ZIP is packed in a way that is not read")
                if info.file_size > min(left, LARGEST_XML):
                    raise UnreadableReportError(f"{_show(info)} of the ZIP is too large")
                left -= info.file_size
                with archive.open(info) as member:
                    yield info.filename, cast("BinaryIO", _Whole(cast("BinaryIO", member), _show(info)))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, struct.error, OSError) as error:
        raise UnreadableReportError(f"the ZIP is broken ({type(error).__name__})") from None


class _Whole(BufferedIOBase):
    """A member that says its own name where it is broken."""

    def __init__(self, member: BinaryIO, name: str) -> None:
        super().__init__()
        self._member = member
        self._name = name

    def read(self, size: int | None = -1, /) -> bytes:
        try:
            return self._member.read(-1 if size is None else size)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
            raise UnreadableReportError(f"{self._name} of the ZIP is broken ({type(error).__name__})") from None


def _check_directory(file: BinaryIO) -> None:
    """Refuses a directory that would take much memory before it is read, by the record at the end of the file."""
    size = file.seek(0, 2)
    file.seek(max(0, size - _END_SIZE - _LONGEST_COMMENT))
    tail = file.read()
    file.seek(0)
    at = len(tail) - _END_SIZE
    if at < 0 or not (tail[at:].startswith(_END) and tail.endswith(b"\0\0")):
        at = tail.rfind(_END)
    if at < 0 or len(tail) - at < _END_SIZE:
        raise UnreadableReportError("the ZIP has no end: it is cut, or none")
    count, directory = struct.unpack_from("<HI", tail, at + 10)
    if count > MOST_MEMBERS or directory > _LARGEST_DIRECTORY:
        raise UnreadableReportError(f"the ZIP has more than {MOST_MEMBERS} members, or is of a kind that is not read")


def _is_of_a_system(name: str) -> bool:
    """What macOS puts beside the files of a ZIP."""
    return name.startswith("__MACOSX/") or name.rpartition("/")[2].startswith("._")


def _show(info: zipfile.ZipInfo) -> str:
    return repr(info.filename[:100])
