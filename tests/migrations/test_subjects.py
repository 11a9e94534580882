"""Customers by a text: what their row may hold, and the release before beside it."""

from __future__ import annotations

from uuid import UUID, uuid4, uuid5

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from tests.conftest import Servers, Sql
from tests.migrations.conftest import Alembic, run_as

INSERT = "INSERT INTO users (id, issuer, subject) VALUES (:id, :issuer, :subject)"


def computed(subject: str) -> UUID:
    return uuid5(UUID(int=0), subject)


@pytest.mark.parametrize(
    ("constraint", "issuer", "subject", "user"),
    [
        ("users_issuer_and_subject", None, "auth0|a", computed("a")),
        ("users_issuer_and_subject", "https://a.example/", None, computed("a")),
        ("users_issuer_form", "https://a.example/\n", "auth0|a", computed("a")),
        ("users_issuer_form", "x" * 256, "auth0|a", computed("a")),
        ("users_subject_form", "", "", computed("a")),
        ("users_subject_form", "", "x" * 256, computed("a")),
        *[("users_subject_form", "", f"a{control}b", computed("a")) for control in "\x01\t\n\x1f\x7f\x80\x9f"],
        ("users_subject_form", "", "5b0a7c1e-2f60-4d0b-9a53-9f2d3c1e7a44", computed("a")),
        ("users_subject_form", "", "5B0A7C1E-2F60-4D0B-9A53-9F2D3C1E7A44", computed("a")),
        ("users_id_of_subject", "", "auth0|a", uuid4()),
        ("users_id_of_subject", "", "auth0|a", UUID(int=0)),
    ],
)
def test_a_row_that_names_nobody_or_two_is_refused(
    sql: Sql, constraint: str, issuer: str | None, subject: str | None, user: UUID
) -> None:
    with pytest.raises(IntegrityError, match=constraint):
        sql(INSERT, id=user, issuer=issuer, subject=subject)
    assert sql("SELECT FROM users") == []


def test_one_text_of_one_issuer_stands_once_and_bytes_decide(sql: Sql) -> None:
    for issuer, subject in (("", "Zoe\u0308"), ("", "Zo\u00eb"), ("", "zo\u00eb"), ("a", "Zo\u00eb"), ("", " ~\xa0")):
        sql(INSERT, id=computed(issuer + subject), issuer=issuer, subject=subject)
    with pytest.raises(IntegrityError, match="users_issuer_subject"):
        sql(INSERT, id=computed("another"), issuer="", subject="Zo\u00eb")
    # By their ids alone there are as many as ever.
    for _ in range(2):
        sql("INSERT INTO users (id) VALUES (uuidv7())")
    assert sql("SELECT count(*) FROM users")[0].count == 7


def test_the_web_tier_writes_them_once_and_never_again(servers: Servers, sql: Sql) -> None:
    engine = create_engine(servers.web_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as web:
        web.execute(text(INSERT), {"id": computed("a"), "issuer": "", "subject": "a"})
        for column in ("issuer", "subject"):
            with pytest.raises(ProgrammingError, match="permission denied"):
                web.execute(text(f"UPDATE users SET {column} = 'b'"))
    engine.dispose()
    assert [tuple(row) for row in sql("SELECT issuer, subject FROM users")] == [("", "a")]


def test_the_release_before_goes_on_beside_it_and_after_it_is_taken_back(
    fresh_database: str, alembic: Alembic, servers: Servers
) -> None:
    alembic("upgrade", "0020")
    web_url = make_url(servers.web_url).set(database=make_url(fresh_database).database)
    engine = create_engine(web_url, isolation_level="AUTOCOMMIT")
    # Prepared before: an old process goes on with the plan that it has.
    before, old = [uuid4() for _ in range(5)], text("INSERT INTO users (id) VALUES (:id)")
    with engine.connect() as web:
        for user in before[:3]:
            web.execute(old, {"id": user})
        alembic("upgrade", "head")
        for user in before[3:]:
            web.execute(old, {"id": user})
        web.execute(text(INSERT), {"id": computed("a"), "issuer": "", "subject": "a"})
        assert web.execute(text("SELECT count(*) FROM users WHERE subject IS NULL")).scalar() == 5

        alembic("downgrade", "0020")
        web.execute(old, {"id": uuid4()})
        kept = {row.id for row in web.execute(text("SELECT id FROM users"))}
        assert {*before, computed("a")} < kept, "whoever bought is still there"
        alembic("upgrade", "head")
    engine.dispose()


def test_it_runs_again_after_it_was_broken_off_with_rows_there(fresh_database: str, alembic: Alembic) -> None:
    alembic("upgrade", "0020")
    run_as(
        fresh_database,
        "SET ROLE checkout_owner",
        "INSERT INTO users SELECT FROM generate_series(1, 100)",
        # As far as it may have come: a rule without its check, and an index that is not valid.
        'ALTER TABLE users ADD issuer text COLLATE "C", ADD subject text COLLATE "C"',
        "ALTER TABLE users ADD CONSTRAINT users_issuer_form CHECK (length(issuer) <= 255) NOT VALID",
        "CREATE INDEX users_issuer_subject ON users (issuer)",
    )
    alembic("upgrade", "head")
    engine = create_engine(fresh_database)
    with engine.connect() as owner:
        assert owner.execute(text("SELECT count(*) FROM users")).scalar() == 100
        assert owner.execute(text("SELECT bool_and(convalidated) FROM pg_constraint")).scalar()
        (index,) = owner.execute(text("SELECT indexdef FROM pg_indexes WHERE indexname = 'users_issuer_subject'"))
        assert "UNIQUE" in index.indexdef
    engine.dispose()
