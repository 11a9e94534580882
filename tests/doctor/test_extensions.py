"""The doctor on the extension that the catalogue's words are compared by."""

from __future__ import annotations

from sqlalchemy import make_url

from checkout_service.doctor.extensions import check_extensions
from checkout_service.doctor.findings import Finding, Level
from checkout_service.settings.secret import Secret
from tests.conftest import Servers
from tests.migrations.conftest import fresh_database, run_as
from tests.own_apps import MakeApp, make_app

__all__ = ["fresh_database", "make_app"]  # fixtures

WORDS = "CREATE OR REPLACE FUNCTION catalogue_words(given text) RETURNS text[] LANGUAGE sql IMMUTABLE RETURN {}"


def test_all_is_well_where_the_migrations_ran(make_app: MakeApp) -> None:
    with make_app().app_context():
        (finding,) = check_extensions()
    assert (finding.level, finding.about) == (Level.OK, "unaccent")


def test_each_thing_that_may_be_missing_is_named_with_what_to_do(
    make_app: MakeApp, servers: Servers, fresh_database: str
) -> None:
    """A dump that was restored where the extension could not be made, and what somebody mended of it."""
    url = make_url(servers.web_url).set(database=make_url(fresh_database).database)
    app = make_app(database_url=Secret(url.render_as_string(hide_password=False)))

    def found() -> Finding:
        with app.app_context():
            (finding,) = check_extensions()
        return finding

    missing = found()
    assert (missing.level, "the extension is missing" in missing.result) == (Level.WRONG, True)
    assert missing.remedy.startswith("As the owner of the database or a superuser: CREATE EXTENSION unaccent")
    run_as(fresh_database, "CREATE EXTENSION unaccent")
    without = found()
    assert (without.level, "the functions that need it are missing" in without.result) == (Level.WRONG, True)
    assert "checkout database search | psql" in without.remedy
    run_as(fresh_database, WORDS.format("ARRAY[lower(given)]"))
    assert (found().level, "leave accents as they are" in found().result) == (Level.WRONG, True)
    run_as(fresh_database, WORDS.format("ARRAY[lower(unaccent(given))]"))
    assert found().level is Level.OK
