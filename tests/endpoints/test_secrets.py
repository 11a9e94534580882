"""Secrets are replaced without a gap, of both schemes, and are kept so that only who has the key can read them."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from checkout_service.endpoints.secrets import NoSecretsKeyError, UnreadableSecretError, make_secret, open_secret
from checkout_service.endpoints.states import Signing
from checkout_service.settings.secret import Secret
from tests.conftest import Sql
from tests.endpoints.conftest import KEYS, Staff
from tests.own_apps import signed

OTHER = Secret(Fernet.generate_key().decode())


def ends(sql: Sql, endpoint: str) -> list[datetime | None]:
    return [
        row.ends_at
        for row in sql("SELECT ends_at FROM endpoint_secrets WHERE endpoint_id = :id ORDER BY id", id=endpoint)
    ]


def test_the_secret_before_goes_on_signing_for_as_long_as_is_given(staff: Staff, sql: Sql) -> None:
    made = staff.make()
    other = staff.make()
    rotated = staff.post(f"{made['id']}/rotate-secret", json={"expires_in": 600})

    assert rotated.status_code == 200, rotated.text
    assert rotated.headers["Cache-Control"] == "no-store"
    assert rotated.json["secret"].startswith("whsec_")
    assert rotated.json["secret"] != made["secret"]
    old, new = ends(sql, made["id"])
    assert new is None
    assert old is not None
    assert timedelta(seconds=590) < old - datetime.now(UTC) < timedelta(seconds=601)
    assert abs(datetime.fromisoformat(rotated.json["old_until"]) - old) < timedelta(seconds=5)
    assert ends(sql, other["id"]) == [None]


def test_without_a_time_it_is_a_day_and_zero_ends_it_at_once(staff: Staff, sql: Sql) -> None:
    made = staff.make()
    assert staff.post(f"{made['id']}/rotate-secret").status_code == 200
    first, _ = ends(sql, made["id"])
    assert first is not None
    assert timedelta(hours=23) < first - datetime.now(UTC) < timedelta(hours=25)
    # A later end never makes an earlier one later.
    staff.post(f"{made['id']}/rotate-secret", json={"expires_in": 7 * 86_400})
    assert ends(sql, made["id"])[0] == first

    staff.post(f"{made['id']}/rotate-secret", json={"expires_in": 0})
    assert sql("SELECT count(*) AS n FROM endpoint_secrets WHERE ends_at IS NULL OR ends_at > now()")[0].n == 1
    staff.post(f"{made['id']}/rotate-secret")
    assert len(ends(sql, made["id"])) == 2, "what signs nothing any more is deleted"


@pytest.mark.parametrize("wrong", [-1, 604_801, "60", 1.5, True, None])
def test_a_time_that_cannot_be_is_422(staff: Staff, sql: Sql, wrong: object) -> None:
    made = staff.make()
    answer = staff.post(f"{made['id']}/rotate-secret", json={"expires_in": wrong})
    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, "/expires_in")
    assert ends(sql, made["id"]) == [None]


def test_ten_live_secrets_are_the_most_and_zero_is_always_a_way_out(staff: Staff, sql: Sql) -> None:
    made = staff.make()
    path = f"{made['id']}/rotate-secret"
    assert [staff.post(path).status_code for _ in range(10)] == [200] * 9 + [409]
    assert len(ends(sql, made["id"])) == 10
    assert staff.post(path, json={"expires_in": 0}).status_code == 200
    assert sql("SELECT count(*) AS n FROM endpoint_secrets WHERE ends_at IS NULL OR ends_at > now()")[0].n == 1


def test_of_v1a_the_public_key_is_shown_and_the_private_one_is_kept(staff: Staff, sql: Sql) -> None:
    made = staff.make(signing="v1a")
    assert made["signing"] == "v1a"
    (kept,) = sql("SELECT scheme, ciphertext FROM endpoint_secrets")
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(made["secret"].removeprefix("whpk_")))
    private = Ed25519PrivateKey.from_private_bytes(open_secret(kept.ciphertext, KEYS))
    public.verify(private.sign(b"an event"), b"an event")

    rotated = staff.post(f"{made['id']}/rotate-secret").json
    assert (rotated["signing"], rotated["secret"][:5]) == ("v1a", "whpk_"), "it stays of its scheme"
    changed = staff.post(f"{made['id']}/rotate-secret", json={"signing": "v1"}).json
    assert (changed["signing"], changed["secret"][:6]) == ("v1", "whsec_")
    assert staff.get(made["id"]).json["signing"] == "v1"
    assert [row.scheme for row in sql("SELECT scheme FROM endpoint_secrets ORDER BY id")] == ["v1a", "v1a", "v1"]


def test_each_key_opens_and_the_first_one_encrypts() -> None:
    made = make_secret(Signing.V1, KEYS)
    assert open_secret(made.ciphertext, (OTHER, *KEYS)) == base64.b64decode(made.shown.reveal()[6:])
    newer = make_secret(Signing.V1, (OTHER, *KEYS))
    assert len(open_secret(newer.ciphertext, (OTHER,))) == 32
    with pytest.raises(UnreadableSecretError):
        open_secret(newer.ciphertext, KEYS)
    with pytest.raises(NoSecretsKeyError):
        open_secret(newer.ciphertext, ())
    assert made.shown.reveal() not in repr(made)


def test_other_scopes_see_no_secret_and_rotate_none(staff: Staff, sql: Sql) -> None:
    made = staff.make()
    for scope in ("ops", "events:read", "refunds"):
        answer = staff.by.client.post(
            f"/api/admin/webhook-endpoints/{made['id']}/rotate-secret", json={}, headers=signed(scope=scope)
        )
        assert answer.status_code == 403
    assert ends(sql, made["id"]) == [None]
