"""Connects commands about settled money to the database, as the role that writes it."""

from __future__ import annotations

from typing import Final

from checkout_service.database.connections import DeadlineConnection
from checkout_service.settings.database_names import connection_to
from checkout_service.settings.settlements import SettlementsSettings

STATEMENT_WITHIN: Final = 900
"""Seconds that one statement may take: a rule over a million lines takes tens of them."""

LOCK_WITHIN: Final = 900
"""Seconds that a statement waits for what another command holds, which may be entering a million lines. No customer
waits for one of ours."""

IDLE_WITHIN: Final = 900
"""Seconds that a transaction may wait for us, who may be stopped or away."""

NAME: Final = "checkout-settlements"
"""What the server lists such a connection under."""


class SettlementsConnection(DeadlineConnection):
    """Gives up on a server that never answers, but later than the server ends a statement by itself."""

    answer_within = STATEMENT_WITHIN + 5.0


def connect(settings: SettlementsSettings) -> SettlementsConnection:
    """A connection as the role of settlements, in autocommit. Raises psycopg.OperationalError.

    Names lead to the schema of the deployment, times are in UTC. Behind a ``transaction`` pooler nothing stays on a
    connection: there the schema is the role's default, statements are bounded by ``answer_within`` alone, and whoever
    needs more sets it in the transaction.
    """
    parameters = connection_to(settings.database_url, pooler=settings.database_pooler)
    if settings.database_pooler == "none":
        own = {
            "timezone": "UTC",
            "statement_timeout": f"{STATEMENT_WITHIN}s",
            "lock_timeout": f"{LOCK_WITHIN}s",
            "idle_in_transaction_session_timeout": f"{IDLE_WITHIN}s",
        }
        options = " ".join(f"-c {name}={value}" for name, value in own.items())
        parameters["options"] = f"{parameters.get('options', '')} {options}".lstrip()
    parameters |= {"application_name": NAME, "connect_timeout": 5}
    return SettlementsConnection.connect(**parameters, prepare_threshold=None, autocommit=True)
