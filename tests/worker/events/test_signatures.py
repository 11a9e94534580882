"""What is sent is verified by the public package of Standard Webhooks, through rotations."""

from __future__ import annotations

import base64
import tomllib
from uuid import UUID

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tests.conftest import ROOT, Sql
from tests.events.rows import insert_event
from tests.worker.events.conftest import KEY, MakeShop, Receiver, Send, add_secret, endpoint_row


def test_the_public_package_verifies_what_is_sent_and_nothing_else(
    sql: Sql, receiver: Receiver, make_shop: MakeShop, send: Send
) -> None:
    shop = make_shop()
    insert_event(sql, body={"id": str(UUID(int=1)), "note": 'na\u00efve \u2603 "quoted"'})
    send()
    (received,) = receiver.received

    verified = Webhook(shop.secret).verify(received.body, received.headers)
    assert verified == received.data
    assert verified["data"]["note"] == 'na\u00efve \u2603 "quoted"'
    assert received.headers["content-type"] == "application/json"
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert received.headers["user-agent"] == f"checkout-service/{version}"
    with pytest.raises(WebhookVerificationError):
        Webhook(shop.secret).verify(received.body + b" ", received.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(shop.secret).verify(received.body, received.headers | {"webhook-id": str(UUID(int=2))})


def test_all_live_secrets_sign_at_once_and_one_that_has_ended_does_not(
    sql: Sql, receiver: Receiver, make_shop: MakeShop, send: Send
) -> None:
    shop = make_shop()
    second = add_secret(sql, shop.id, ends_in="1 hour")
    ended = add_secret(sql, shop.id, ends_in="-1 second")
    seed = base64.b64decode(add_secret(sql, shop.id).removeprefix("whsec_"))
    sql("""UPDATE endpoint_secrets SET scheme = 'v1a'
        WHERE id = (SELECT id FROM endpoint_secrets ORDER BY id DESC LIMIT 1)""")
    insert_event(sql)
    send()
    (received,) = receiver.received
    for secret in (shop.secret, second):
        Webhook(secret).verify(received.body, received.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(ended).verify(received.body, received.headers)

    signatures = received.headers["webhook-signature"].split(" ")
    assert [each.partition(",")[0] for each in signatures] == ["v1", "v1", "v1a"]
    content = f"{received.headers['webhook-id']}.{received.headers['webhook-timestamp']}.".encode() + received.body
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key()
    public.verify(base64.b64decode(signatures[2].partition(",")[2]), content)
    with pytest.raises(InvalidSignature):
        public.verify(base64.b64decode(signatures[2].partition(",")[2]), content + b" ")


@pytest.mark.parametrize("unreadable", [True, False], ids=["another key", "no secret"])
def test_an_endpoint_that_cannot_be_signed_for_is_sent_nothing_and_nothing_counts_as_a_failure(
    sql: Sql, receiver: Receiver, make_shop: MakeShop, send: Send, unreadable: bool
) -> None:
    shop = make_shop()
    if unreadable:
        add_secret(sql, shop.id, key=Fernet.generate_key())
    else:
        sql("DELETE FROM endpoint_secrets")
    insert_event(sql)
    assert send() == 0
    assert receiver.received == []
    assert endpoint_row(sql, shop).failures == 0

    sql("DELETE FROM endpoint_secrets")
    assert add_secret(sql, shop.id, key=KEY)
    sql("UPDATE webhook_endpoints SET leased_until = now()")
    assert send() == 1
