"""A row of a source as a listing: with ids of ours, and by the rules by which a line of a file is judged."""

from __future__ import annotations

import re
from typing import Any, Final
from uuid import UUID, uuid5

from checkout_service.catalog.jsonl import BadLineError, parse_json
from checkout_service.catalog.rows import ListingRow, parse_listing
from checkout_service.catalog.source import LONGEST_KEY
from checkout_service.settings.origins import Origins

_UUID: Final = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def listing_of(row: dict[str, Any], namespace: UUID, origins: Origins | None) -> ListingRow:
    """A row of ``Source.changed`` as a listing, by the rules of the import. Raises BadLineError."""
    key = row["id"]
    if not 1 <= len(key) <= LONGEST_KEY:
        raise BadLineError(f"id is not 1 to {LONGEST_KEY} characters")
    # NULL comes of a join that found nothing, more often than of a wish to sell without end.
    if "active" in row and row["active"] is None:
        raise BadLineError("active is NULL, and so neither true nor false")
    if "stock" in row and row["stock"] is None and row["was_counted"]:
        raise BadLineError("stock is NULL, and its listing is counted")
    value = {name: row[name] for name in ("title", "unit_price", "currency") if row[name] is not None}
    value["id"] = str(row["known"] or id_of(namespace, "listing", key))
    for name in ("description", "stock", "active"):
        value[name] = row.get(name)
    for name in ("images", "prices"):
        value[name] = _json(row.get(name), name)
    for name in ("vendor", "school", "spec"):
        value[name] = _named(row, name, namespace)
    if value["spec"] is not None and "attributes" in row:
        value["spec"]["attributes"] = _json(row["attributes"], "attributes")
    return parse_listing(value, origins)


def _named(row: dict[str, Any], name: str, namespace: UUID) -> dict[str, Any] | None:
    """A vendor, school or spec: by its own key, or by its name where there is none."""
    title, key = row.get(name), row.get(f"{name}_id")
    if name == "spec" and "attributes" in row and "spec_id" not in row:
        # Attributes are the spec's. By its name alone it would be many listings' one, with the attributes of the last.
        key = None if title is None else f"of {row['id']}"
    if title is None and key is None:
        return None
    if key is not None and len(key) > LONGEST_KEY:
        raise BadLineError(f"{name}_id is longer than {LONGEST_KEY} characters")
    if title is None:
        raise BadLineError(f"{name} is missing, and {name}_id is there")
    return {"id": str(id_of(namespace, name, title if key is None else key)), "name": title}


def _json(text: str | None, name: str) -> Any:
    try:
        return None if text is None else parse_json(text.encode())
    except BadLineError as error:
        raise BadLineError(f"{name}: {error}") from error


def id_of(namespace: UUID, kind: str, key: str) -> UUID:
    """The id of a ``listing``, ``vendor``, ``school`` or ``spec``, computed of the source's key.

    A key that is a UUID, in lower case as PostgreSQL writes it, is the id itself. Any other makes the UUID of
    version 5 of the kind, a line feed and the key, within ``PAYMENT_NAMESPACE`` (RFC 9562, section 5.5).
    """
    return UUID(key) if _UUID.fullmatch(key) else uuid5(namespace, f"{kind}\n{key}")
