"""What comes of entering a file, and why one cannot be entered or accepted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

from checkout_service.settlement_words import FileState, MatchState


class UnknownFileError(Exception):
    """No file has this id."""


class NotHeldError(Exception):
    """A file is not held, or no longer, so that there is nothing to accept."""


class NotDismissedError(Exception):
    """A file was not dismissed, so that there is nothing to take back."""


class UnenterableError(Exception):
    """Lines of a held file contradict themselves or each other: nobody can accept them, the provider issues it anew."""


class FileOfAnotherError(Exception):
    """A report names lines of an account that is another one than the account it was to be entered for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Residue:
    """What a section of a file lacks, or has too much, in one currency.

    ``expected`` and ``found`` are in the major unit of ``currency``; ``expected`` is None where nothing says it (a
    payout that nobody knows yet, a currency that the section does not name). Of numbers of rows ``currency`` is ''.
    ``rule`` says in words what was compared.
    """

    account: str
    section: str
    currency: str
    expected: Decimal | None
    found: Decimal
    rule: str

    @classmethod
    def from_json(cls, residue: Mapping[str, Any]) -> Residue:
        """As a file's row has it."""
        expected = residue["expected"]
        return cls(
            account=residue["account"],
            section=residue["section"],
            currency=residue["currency"],
            expected=None if expected is None else Decimal(expected),
            found=Decimal(residue["found"]),
            rule=residue["rule"],
        )


@dataclass(slots=True, kw_only=True)
class Entered:
    """What came of a file.

    ``is_known`` says that the same bytes came before: then ``state`` is how far that file is, and nothing was changed.
    ``new``, ``known`` and ``withdrawn`` count entries; ``by_state`` the current matches of this file's entries.
    ``residues`` and ``faults`` say why it is held; of an accepted file, what was accepted. ``retried`` are files that
    were held and that this one resolved.
    """

    file_id: UUID
    state: FileState
    is_known: bool = False
    rows: int = 0
    new: int = 0
    known: int = 0
    withdrawn: int = 0
    by_state: Mapping[MatchState, int] = field(default_factory=dict)
    residues: Sequence[Residue] = ()
    faults: Sequence[str] = ()
    retried: Sequence[UUID] = ()
