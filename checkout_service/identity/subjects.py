"""Whose a subject is: the user's id, computed of what a token calls its user. Nothing is looked up.

A UUID in the form of RFC 9562, in whatever case, is the id itself. Any other text is an identity provider's own name
for somebody, such as ``auth0|5f7c8ec7``; the id is then the UUID of version 5 (RFC 9562, section 5.5) of the issuer, a
line feed and the text, in UTF-8, within PAYMENT_NAMESPACE. So two first requests at once are one customer, and a
database that was restored finds everybody again. Texts are compared byte by byte: ``Ada`` and ``ada`` are two
customers, and so are a character with an accent and the same one with the accent apart.

A text cannot be chosen so that it leads to a given id: that would take 2 to the power of 122 attempts. An id can be
copied into a token, though, by an issuer that lets its users choose their subject. None may.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self
from uuid import UUID, uuid5

from flask import current_app

from checkout_service.api.callers import Subject
from checkout_service.settings.values import WebSettings
from checkout_service.spellings import fault_of_subject, parse_id

MAY_CHANGE: Final = frozenset({
    *("email", "preferred_username", "username", "cognito:username", "user_name", "unique_name", "upn", "name"),
    *("nickname", "given_name", "family_name", "phone_number", "phone", "login", "sid", "session_id"),
})  # fmt: skip
"""Claims whose value a user may change, or that goes to another user later, or that is another one in each session."""


class BadSubjectError(Exception):
    """Nobody can be called so; the message ends a sentence about the subject."""


@dataclass(frozen=True, slots=True)
class Named:
    """Who is meant: the id, and what it was computed of, if it was."""

    user_id: UUID
    subject: Subject | None


@dataclass(frozen=True, slots=True)
class Subjects:
    """Reads subjects as one deployment has them."""

    namespace: UUID
    issuer: str
    claim: str

    @classmethod
    def of(cls, settings: WebSettings) -> Self:
        """As these settings have them."""
        return cls(settings.payment_namespace, settings.jwt_issuer or "", settings.jwt_subject_claim)

    def read(self, value: object, *, issuer: str | None = None) -> Named:
        """Who a claim's value names; a whole number is the text of its digits. Raises BadSubjectError.

        ``issuer`` is another than the configured one: customers of former days may be of such.
        """
        text = _text(value)
        try:
            return Named(parse_id(text), None)
        except ValueError:
            pass
        if fault := fault_of_subject(text):
            raise BadSubjectError(fault)
        subject = Subject(self.issuer if issuer is None else issuer, text)
        return Named(self.id_of(subject), subject)

    def id_of(self, subject: Subject) -> UUID:
        """The user's id that is computed of a subject, which is no UUID."""
        return uuid5(self.namespace, f"{subject.issuer}\n{subject.text}")


def subjects_here() -> Subjects:
    """How the current app reads subjects."""
    subjects: Subjects = current_app.extensions["subjects"]
    return subjects


def customer_in(query: Mapping[str, Any]) -> UUID | None:
    """Which customer a query by ``OfCustomerQuery`` means, computed; None if it means all of them."""
    customer: UUID | None = query["customer"]
    return customer if query["subject"] is None else subjects_here().read(query["subject"]).user_id


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        raise BadSubjectError("is missing")
    # To Python, true is a number.
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 0:
            raise BadSubjectError("is a negative number, and takes a text or a whole number")
        return str(value)
    kinds = {bool: "true or false", float: "a number with a fraction or an exponent", list: "a list", dict: "an object"}
    raise BadSubjectError(f"is {kinds.get(type(value), 'something else')}, and takes a text or a whole number")
