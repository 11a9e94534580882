"""How the API's schemas take numbers in a query, and ids: in one spelling, which other parsers read alike."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from marshmallow import fields

from checkout_service.spellings import parse_id, parse_number


class NumberField(fields.Integer):
    """A whole number in ASCII digits, as a query has it."""

    def _validated(self, value: Any) -> int:
        try:
            return super()._validated(parse_number(value) if isinstance(value, str) else value)
        except ValueError as error:
            raise self.make_error("invalid", input=value) from error


class IdField(fields.UUID):
    """A UUID in the form of RFC 9562, in whatever case."""

    def _validated(self, value: Any) -> UUID:
        try:
            return super()._validated(parse_id(value) if isinstance(value, str) else value)
        except ValueError as error:
            raise self.make_error("invalid_uuid") from error
