"""The names of a deployment in its database: what they may be, and where they are put."""

from __future__ import annotations

import pytest

from checkout_service.settings.database_names import DatabaseAddress, DatabaseNames, connection_to
from checkout_service.settings.secret import Secret
from checkout_service.settings.values import DatabaseSettings, SettingsError

URL = "postgresql://shop_web@db.example/shop"


@pytest.fixture(autouse=True)
def _database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", URL)


def _faults() -> list[str]:
    with pytest.raises(SettingsError) as caught:
        DatabaseSettings.from_environment("DATABASE_URL")
    return str(caught.value).splitlines()


def test_unset_they_are_those_of_every_release() -> None:
    url = DatabaseSettings.from_environment("DATABASE_URL").database_url
    assert isinstance(url, DatabaseAddress)
    assert url.names == DatabaseNames()
    assert (url.names.schema, url.names.owner, url.names.web) == ("public", "checkout_owner", "checkout_web")
    assert (url.names.worker, url.names.settlements) == ("checkout_worker", "checkout_settlements")


def test_every_direct_connection_leads_to_the_schema_alone_and_a_pooler_is_given_no_option(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_SCHEMA", "shop")
    monkeypatch.setenv("DATABASE_URL", f"{URL}?options=-c%20work_mem%3D8MB")
    url = DatabaseSettings.from_environment("DATABASE_URL").database_url
    assert connection_to(url)["options"] == "-c work_mem=8MB -c search_path=shop"
    assert connection_to(url, pooler="transaction")["options"] == "-c work_mem=8MB"
    assert "search_path=public" in connection_to(Secret(URL))["options"]


@pytest.mark.parametrize("schema", ["", "Shop", "pg_shop", "information_schema", "a b", "a,public", "$user", "a" * 64])
def test_a_schema_that_sql_would_not_read_as_it_is_written_is_refused(
    monkeypatch: pytest.MonkeyPatch, schema: str
) -> None:
    monkeypatch.setenv("DATABASE_SCHEMA", schema)
    (fault,) = _faults()
    assert fault.startswith("DATABASE_SCHEMA: ")


@pytest.mark.parametrize("prefix", ["", "Shop", "pg", "pg_shop", "shop-a", "9shop", "a" * 52, "x; DROP"])
def test_a_prefix_that_makes_no_names_of_roles_is_refused(monkeypatch: pytest.MonkeyPatch, prefix: str) -> None:
    monkeypatch.setenv("DATABASE_ROLE_PREFIX", prefix)
    (fault,) = _faults()
    assert fault.startswith("DATABASE_ROLE_PREFIX: ")


def test_the_longest_names_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_ROLE_PREFIX", "a" * 51)
    url = DatabaseSettings.from_environment("DATABASE_URL").database_url
    assert isinstance(url, DatabaseAddress)
    assert len(url.names.settlements) == 63


@pytest.mark.parametrize(
    "options", ["-c search_path=other", "--search_path=public,other", "-csearch_path=Public", "--search-path=other"]
)
def test_an_address_that_leads_to_another_schema_is_refused(monkeypatch: pytest.MonkeyPatch, options: str) -> None:
    encoded = options.replace(" ", "%20").replace("=", "%3D")
    monkeypatch.setenv("DATABASE_URL", f"{URL}?options={encoded}")
    assert _faults() == ["DATABASE_URL: leads to another schema by its options: set DATABASE_SCHEMA instead"]


def test_one_that_leads_to_the_same_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", f"{URL}?options=-c%20search_path%3Dshop")
    monkeypatch.setenv("DATABASE_SCHEMA", "shop")
    DatabaseSettings.from_environment("DATABASE_URL")


@pytest.mark.parametrize(
    ("usual", "here"),
    [
        ("GRANT SELECT ON t TO checkout_web, checkout_worker", "GRANT SELECT ON t TO shop_web, shop_worker"),
        ("WHEN (current_user = 'checkout_worker')", "WHEN (current_user = 'shop_worker')"),
        ('SET ROLE "checkout_owner"', 'SET ROLE "shop_owner"'),
        (
            "SELECT FROM checkout_sessions, checkout_extensions.x",
            "SELECT FROM checkout_sessions, checkout_extensions.x",
        ),
        ("checkout_workers my_checkout_web checkout_web2", "checkout_workers my_checkout_web checkout_web2"),
    ],
)
def test_released_sql_says_the_roles_of_the_prefix(usual: str, here: str) -> None:
    assert DatabaseNames(prefix="shop").in_sql(usual) == here
    assert DatabaseNames().in_sql(usual) == usual
