"""Whose rows a customer has: their own, and those of the guests whom they turned out to be.

What a guest paid for and bought keeps its owner row when the guest signs in; the link is in the table ``guests``. Parts
of SQL for the statements that read what is a customer's, whose id is a parameter of the statement.
"""

from __future__ import annotations


def owners_of(customer: str = "user_id") -> str:
    """The ids under which rows are this customer's, as a subselect."""
    return f"""
        (SELECT CAST(:{customer} AS uuid) AS id
        UNION ALL SELECT guest.id FROM guests AS guest WHERE guest.customer_id = CAST(:{customer} AS uuid))
    """  # noqa: S608 (a parameter's name)


def is_theirs(owner: str, customer: str = "user_id") -> str:
    """A condition: the row whose owner this column names is the customer's."""
    return f"""({owner} = CAST(:{customer} AS uuid) OR EXISTS (
        SELECT FROM guests AS guest WHERE guest.id = {owner} AND guest.customer_id = CAST(:{customer} AS uuid)))"""


def is_for(owner: str, *, anybodys: bool) -> str:
    """A condition: the same for a customer; with ``anybodys``, as for staff, true.

    It is written into the statement and is no parameter of it. With a parameter PostgreSQL takes the plan that holds
    for both for dear, since it would read what only staff is shown, and plans the statement anew each time it runs.
    """
    return "true" if anybodys else is_theirs(owner)
