"""Every background thread of the service, when the system has no thread or no descriptor to give at its start."""

from __future__ import annotations

import pytest

from checkout_service.local.servers import Valkey
from tests.conftest import Servers, Sql
from tests.identity.issuer import Issuer
from tests.threads.starved import play
from tests.webhook_bodies import insert_webhook

NEED_NO_THREAD = {"drain"}
NEED_NO_DESCRIPTOR = {"slow-senders", "drain", "end-with-parent"}
USES = [
    "cache-writer",
    "background-publisher",
    "notifier",
    "events-notifier",
    "backpressure",
    "jwks",
    "slow-senders",
    "drain",
    "end-with-parent",
    "outbox",
]


@pytest.mark.parametrize("use", USES)
def test_what_was_begun_without_threads_or_descriptors_is_done_after_all(
    use: str, servers: Servers, own_valkey: Valkey, sql: Sql
) -> None:
    insert_webhook(sql, b"{}")
    issuer = Issuer()
    issuer.add_key("one", "ES256")
    try:
        play(
            "tests.threads.uses:starve",
            use=use,
            needs_threads=use not in NEED_NO_THREAD,
            needs_descriptors=use not in NEED_NO_DESCRIPTOR,
            database_url=servers.web_url,
            redis_url=own_valkey.url,
            jwks_url=issuer.url,
        )
    finally:
        issuer.go_away()


@pytest.mark.usefixtures("sql")
def test_webhooks_are_taken_without_a_thread_and_their_bounds_hold_later(servers: Servers, own_valkey: Valkey) -> None:
    play("tests.threads.uses:webhooks_are_taken", database_url=servers.web_url, redis_url=own_valkey.url)
