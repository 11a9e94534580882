"""How the API's schemas take numbers in a query, and ids: in one spelling, which other parsers read alike.

And by what a list is narrowed to one customer.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from marshmallow import Schema, ValidationError, fields, validate, validates, validates_schema

from checkout_service.spellings import LONGEST_SUBJECT, fault_of_subject, parse_id, parse_number


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


class OfCustomerQuery(Schema):
    """One customer, by the id or by what their tokens call them; one of both at most."""

    customer = IdField(load_default=None, metadata={"description": "Only those of this customer (user id)."})
    subject = fields.String(
        load_default=None,
        validate=validate.Length(1, LONGEST_SUBJECT),
        metadata={
            # No example: a request with the examples of all parameters would be refused, as customer has one.
            "description": "Only those of the customer whom tokens call so, such as `auth0|5f7c8ec7c33c6c004bbafe82`, "
            "in place of `customer`: the claim that `JWT_SUBJECT_CLAIM` names, byte by byte, of tokens by "
            "`JWT_ISSUER`.",
        },
    )

    @validates("subject")
    def _may_name_somebody(self, value: str | None, **_: Any) -> None:
        if value is not None and (fault := fault_of_subject(value)):
            raise ValidationError(f"It {fault}.")

    @validates_schema
    def _names_one_customer(self, data: dict[str, Any], **_: Any) -> None:
        if data.get("customer") is not None and data.get("subject") is not None:
            raise ValidationError("Give customer or subject, not both.", "subject")
