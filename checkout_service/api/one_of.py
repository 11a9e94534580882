"""A member of an answer that is one of several objects: which one it is says its ``type``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, ValidationError, fields


class OneOfField(fields.Raw):
    """One of the objects that ``schemas`` have by their ``type``; documented once, under ``name``."""

    def __init__(self, name: str, schemas: Mapping[str, type[Schema]], **options: Any) -> None:
        super().__init__(**options)
        self.name_in_document = name
        self.schemas = schemas

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **_: Any) -> Any:
        kind = value.get("type") if isinstance(value, dict) else None
        schema = self.schemas.get(kind) if isinstance(kind, str) else None
        if schema is None:
            raise ValidationError(f"This is none of: {', '.join(self.schemas)}.")
        if errors := schema().validate(value):
            raise ValidationError(errors)
        return value


def document_one_of(converter: Any, field: fields.Field[Any], **_: Any) -> dict[str, Any]:
    """What the document says of such a member: the attribute function of apispec's converter."""
    if not isinstance(field, OneOfField):
        return {}
    components = converter.spec.components
    if field.name_in_document not in components.schemas:
        references = {kind: converter.resolve_nested_schema(schema)["$ref"] for kind, schema in field.schemas.items()}
        union = {
            "oneOf": [{"$ref": reference} for reference in references.values()],
            "discriminator": {"propertyName": "type", "mapping": references},
        }
        components.schema(field.name_in_document, union)
    return {"$ref": f"#/components/schemas/{field.name_in_document}"}
