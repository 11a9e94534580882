"""Table of how far the erasing of a person is."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import ForeignKey, text
from sqlalchemy.orm import Mapped, mapped_column

from checkout_service.database.engine import Base, Dated


class Erasure(Dated, Base):
    """The erasing that the command of the same id is about. No login role reads it."""

    __tablename__ = "erasures"
    id: Mapped[UUID] = mapped_column(ForeignKey("audit.id"), primary_key=True, server_default=text("uuidv7()"))
    subject: Mapped[UUID | None]
    """The random subject that takes the person's place; forgotten once nothing is left of them."""
    erased: Mapped[int] = mapped_column(server_default=text("0"))
    """Rows that were deleted, or in which something was struck out."""
