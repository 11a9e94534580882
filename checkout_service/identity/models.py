"""The table of API keys."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ARRAY, CheckConstraint, Index, Text, text
from sqlalchemy.dialects.postgresql import BYTEA, TIMESTAMP
from sqlalchemy.orm import Mapped, mapped_column

from checkout_service.database.engine import Base, Dated


class ApiKey(Dated, Base):
    """A key of a program. The key itself is nowhere: it is shown once, when it is made.

    The owner makes and revokes keys. The trigger api_keys_guard lets nothing else of one change, and none come back
    that was revoked (migrations/events/api_keys.sql).
    """

    __tablename__ = "api_keys"
    __table_args__ = (
        CheckConstraint("length(name) <= 200", name="name_length"),
        CheckConstraint("prefix ~ '^csk_[0-9A-Za-z]{8}$'", name="prefix_form"),
        CheckConstraint("octet_length(hash) = 32", name="hash_length"),
        CheckConstraint("cardinality(scopes) BETWEEN 1 AND 50", name="some_scopes"),
        CheckConstraint("length(created_by) BETWEEN 1 AND 200", name="created_by_length"),
        Index("api_keys_hash", "hash", unique=True),
        Index("api_keys_prefix", "prefix", unique=True),
    )
    name: Mapped[str] = mapped_column(Text, server_default=text("''"))
    """What it is for, in the words of who made it; may be empty."""
    prefix: Mapped[str] = mapped_column(Text)
    """The first 12 characters of the key: by these it is named in lists, logs and the audit."""
    hash: Mapped[bytes] = mapped_column(BYTEA)
    """The SHA-256 of the whole key."""
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    """What it is good for: names of ``Scope``."""
    created_by: Mapped[str] = mapped_column(Text)
    """Who made it."""
    expires_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    """From then on it opens nothing; none if it does not end by itself."""
    revoked_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    """When it was taken back, for good; none if it was not."""
    last_used_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    """About when it was sent last: to a minute, and some uses may be missing."""
