"""Checks by what customers are named: a claim that stays theirs, by an issuer and within a namespace that stay too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from flask import current_app

from checkout_service.api.callers import Subject
from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement
from checkout_service.doctor.findings import Finding, advice, ok, wrong
from checkout_service.identity.subjects import MAY_CHANGE, subjects_here
from checkout_service.settings.values import WebSettings

ABOUT: Final = "customers"

# Each walks along the index of subjects to the first row, however many customers there are.
_of_others: Final = Statement("""
    (SELECT issuer FROM users WHERE subject IS NOT NULL AND issuer < CAST(:issuer AS text) ORDER BY issuer LIMIT 1)
    UNION ALL
    (SELECT issuer FROM users WHERE subject IS NOT NULL AND issuer > CAST(:issuer AS text) ORDER BY issuer LIMIT 1)
""")
_one: Final = Statement("""
    SELECT id, issuer, subject FROM users WHERE subject IS NOT NULL AND issuer = CAST(:issuer AS text)
    ORDER BY subject LIMIT 1
""")


def check_subjects() -> Iterator[Finding]:
    """Whoever is named by a text is found by what their id is computed of, and by nothing else."""
    settings: WebSettings = current_app.extensions["settings"]
    subjects = subjects_here()
    faults = 0
    if subjects.claim in MAY_CHANGE:
        faults += 1
        yield advice(
            ABOUT,
            f"JWT_SUBJECT_CLAIM is {subjects.claim}, which may change or go to somebody else",
            "Whoever has it then has the customer's orders. Name a claim that is one person's for ever, such as sub, "
            "before there are customers: it makes others of them.",
        )
    if settings.jwt_jwks_url is not None and settings.jwt_issuer is None:
        faults += 1
        yield advice(
            ABOUT,
            "JWT_ISSUER is unset: whatever issuer signs with the keys of JWT_JWKS_URL is believed",
            "Set it before there are customers: an id that is computed of a subject is computed of it too.",
        )
    for row in execute(_of_others, {"issuer": subjects.issuer}):
        faults += 1
        yield wrong(
            ABOUT,
            f"there are some of the issuer {row.issuer!r}, and JWT_ISSUER is {subjects.issuer!r}",
            "With tokens of this issuer they are others, without their carts and orders: set JWT_ISSUER back.",
        )
    for row in execute(_one, {"issuer": subjects.issuer}):
        if subjects.id_of(Subject(row.issuer, row.subject)) != row.id:
            faults += 1
            yield wrong(
                ABOUT,
                "their ids were computed within another PAYMENT_NAMESPACE",
                "They cannot buy, and no payment is found by its key: set PAYMENT_NAMESPACE back.",
            )
    if not faults:
        issued = f" of {subjects.issuer}" if subjects.issuer else ""
        yield ok(ABOUT, f"are named by the claim {subjects.claim}{issued}")
