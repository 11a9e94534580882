"""The doctor on what customers are named by."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from checkout_service.doctor.findings import Finding, Level
from checkout_service.doctor.subjects import check_subjects
from tests.conftest import MakeListing
from tests.identity.test_subjects import ISSUER, customer_called
from tests.own_apps import MakeApp, bearer, handmade, make_app, payload
from tests.purchases import fill_cart

__all__ = ["make_app"]  # fixtures


def found(make_app: MakeApp, **changes: Any) -> list[Finding]:
    with make_app(**changes).app_context():
        return list(check_subjects())


def test_all_is_well_with_and_without_customers(make_app: MakeApp, make_listing: MakeListing) -> None:
    for _ in range(2):
        (finding,) = found(make_app)
        assert (finding.level, finding.result) == (Level.OK, "are named by the claim sub")
        for sub in ("auth0|ada", 42, str(uuid4())):
            fill_cart(customer_called(make_app(), sub), (make_listing(), 1))
    (finding,) = found(make_app)
    assert finding.level is Level.OK


@pytest.mark.parametrize("claim", ["email", "preferred_username", "name"])
def test_a_claim_that_changes_is_named(make_app: MakeApp, claim: str) -> None:
    (finding,) = found(make_app, jwt_subject_claim=claim)
    assert finding.level is Level.ADVICE
    assert claim in finding.result


def test_published_keys_without_an_issuer_are_named(make_app: MakeApp) -> None:
    published = {"jwt_secret": None, "jwt_jwks_url": "http://127.0.0.1:9/keys", "jwt_algorithms": ("RS256",)}
    (finding,) = found(make_app, **published)
    assert (finding.level, "JWT_ISSUER is unset" in finding.result) == (Level.ADVICE, True)
    assert found(make_app, **published, jwt_issuer=ISSUER)[0].level is Level.OK


@pytest.mark.parametrize(
    ("before", "now"), [(None, ISSUER), (ISSUER, None), (ISSUER, ISSUER[:-1]), (ISSUER[:-1], ISSUER)]
)
def test_another_issuer_than_that_of_customers_is_wrong(
    make_app: MakeApp, make_listing: MakeListing, before: str | None, now: str | None
) -> None:
    item = {"listing": str(make_listing()["id"]), "qty": 1}
    token = bearer(handmade({"alg": "HS256"}, payload(sub="auth0|ada", iss=before)))
    answer = make_app(jwt_issuer=before).test_client().post("/api/cart/items", json=item, headers=token)
    assert answer.status_code == 201
    (finding,) = found(make_app, jwt_issuer=now)
    assert finding.level is Level.WRONG
    assert repr(before or "") in finding.result
    assert found(make_app, jwt_issuer=before)[0].level is Level.OK


def test_another_namespace_than_that_of_customers_is_wrong(make_app: MakeApp, make_listing: MakeListing) -> None:
    fill_cart(customer_called(make_app(), "auth0|ada"), (make_listing(), 1))
    (finding,) = found(make_app, payment_namespace=uuid4())
    assert finding.level is Level.WRONG
    assert "PAYMENT_NAMESPACE" in finding.result
