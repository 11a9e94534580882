"""What we sign is verified by the public packages of the specification and of Svix, in Python and in node."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import ModuleType
from typing import Any
from uuid import UUID, uuid4

import pytest

from checkout_service.endpoints.secrets import make_unkept_secret, read_secret
from checkout_service.endpoints.signing import AGENT, Signer, make_signer, signature, signed_headers
from checkout_service.endpoints.states import Signing
from checkout_service.events.posted import PostedEvent
from checkout_service.settings.secret import Secret
from tests.conftest import ROOT
from tests.in_node import PACKAGES, find_node

Verify = Callable[[list["Posted"]], list[str | None]]
"""The ids of events that were verified, None for what was refused."""


@dataclass(frozen=True, kw_only=True)
class Posted:
    """What a receiver has: its secret, and a request."""

    secret: str
    headers: Mapping[str, str]
    body: bytes


EVENT = PostedEvent(
    UUID("01a206b6-2617-7632-98bf-296e992e5fa1"),
    "payment.paid",
    "payment",
    uuid4(),
    2,
    datetime(2026, 11, 25, 4, 5, 6, tzinfo=UTC),
    json.dumps({"id": str(uuid4()), "customer": "Zoë ☃ 𝄞", "note": 'a "quoted" \\ word\u2028', "amount": "240.00"}),
)


def post(*signers: Signer, secret: Secret, thin: bool = False) -> Posted:
    body = EVENT.payload(thin=thin)
    return Posted(
        secret=secret.reveal(),
        headers=signed_headers(signers, event_id=EVENT.text_id, body=body, agent=AGENT),
        body=body,
    )


def v1(secret: Secret) -> Signer:
    return make_signer(Signing.V1, read_secret(secret), None)


def taken() -> list[Posted]:
    """Posts that a receiver has to take: by one secret, by either of a rotation, beside one of Ed25519, thin."""
    old, new = make_unkept_secret(), make_unkept_secret()
    v1a = make_signer(Signing.V1A, bytes(range(32)), None)
    return [
        post(v1(new), secret=new),
        post(v1(old), v1(new), secret=old),
        post(v1(old), v1(new), secret=new),
        post(v1a, v1(new), secret=new),
        post(v1(new), secret=new, thin=True),
    ]


def refused() -> list[Posted]:
    """Posts that it has to refuse: by another secret, changed, about another event, old, of another scheme alone."""
    secret = make_unkept_secret()
    good = post(v1(secret), secret=secret)
    return [
        replace(good, secret=make_unkept_secret().reveal()),
        replace(good, body=good.body.replace(b"240.00", b"240.01")),
        replace(good, headers={**good.headers, "webhook-id": str(uuid4())}),
        replace(good, headers={**good.headers, "webhook-timestamp": str(int(good.headers["webhook-timestamp"]) - 1)}),
        post(make_signer(Signing.V1A, bytes(range(32)), None), secret=secret),
    ]


def in_python(name: str) -> Verify:
    package: ModuleType = pytest.importorskip(f"{name}.webhooks", reason=f"{name} is not installed: make")

    def verify(posts: list[Posted]) -> list[str | None]:
        found: list[str | None] = []
        for each in posts:
            try:
                package.Webhook(each.secret).verify(each.body, dict(each.headers))  # Svix's gives nothing back
            except package.WebhookVerificationError:
                found.append(None)
            else:
                found.append(json.loads(each.body)["id"])
        return found

    return verify


def by_hand() -> Verify:
    """As docs/events.md describes it for receivers without a package."""
    page = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")
    (source,) = [each for each in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "import base64, hmac" in each]
    names: dict[str, Any] = {}
    exec(compile(source, "docs/events.md", "exec"), names)  # noqa: S102 (a page of our own)

    def verify(posts: list[Posted]) -> list[str | None]:
        is_signed = names["is_signed"]
        return [json.loads(e.body)["id"] if is_signed(e.secret, e.headers, e.body) else None for e in posts]

    return verify


def in_node(name: str) -> Verify:
    node = find_node("standardwebhooks", "svix")

    def verify(posts: list[Posted]) -> list[str | None]:
        given = [{"secret": each.secret, "headers": dict(each.headers), "body": each.body.decode()} for each in posts]
        ran = subprocess.run(
            [node, str(ROOT / "tests" / "node" / "verify.cjs"), str(PACKAGES)],
            input=json.dumps(given).encode(),
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert ran.returncode == 0, ran.stderr.decode()
        answers: list[dict[str, Any]] = json.loads(ran.stdout)
        return [each[name] for each in answers]

    return verify


@pytest.mark.parametrize("language", ["python", "node"])
@pytest.mark.parametrize("name", ["standardwebhooks", "svix"])
def test_the_public_package_takes_what_we_sign_and_nothing_else(name: str, language: str) -> None:
    verify = {"python": in_python, "node": in_node}[language](name)

    assert verify(taken()) == [EVENT.text_id] * len(taken())
    assert verify(refused()) == [None] * len(refused())


def test_what_the_page_describes_by_hand_takes_what_we_sign_and_nothing_else() -> None:
    verify = by_hand()
    secret = make_unkept_secret()
    good = post(v1(secret), secret=secret)
    stamp = str(int(good.headers["webhook-timestamp"]) - 400)
    signed = signature([v1(secret)], event_id=EVENT.text_id, timestamp=stamp, body=good.body)
    old = replace(good, headers={**good.headers, "webhook-timestamp": stamp, "webhook-signature": signed})

    assert verify(taken()) == [EVENT.text_id] * len(taken())
    assert verify([*refused(), old]) == [None] * (len(refused()) + 1)
