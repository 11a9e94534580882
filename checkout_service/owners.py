"""Whose rows a customer sees: their own, and those of the guests whom they turned out to be.

What a guest paid for and bought keeps its owner row when the guest signs in; the link is in the table ``guests``. Parts
of SQL for the statements that read what is a customer's, by their parameter ``user_id``.
"""

from __future__ import annotations

from typing import Final

OWNERS: Final = """
    (SELECT CAST(:user_id AS uuid) AS id
    UNION ALL SELECT guest.id FROM guests AS guest WHERE guest.customer_id = CAST(:user_id AS uuid))
"""
"""The ids under which rows are this customer's, as a subselect: joined to, it is looked at once for each of them."""


def is_theirs(owner: str) -> str:
    """A condition: the row whose owner this column names is the customer's."""
    return f"""({owner} = CAST(:user_id AS uuid) OR EXISTS (
        SELECT FROM guests AS guest WHERE guest.id = {owner} AND guest.customer_id = CAST(:user_id AS uuid)))"""
