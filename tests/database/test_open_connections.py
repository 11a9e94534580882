"""A connection that is dropped while it is open says where it was made."""

from __future__ import annotations

import gc
import warnings

import psycopg

from tests.conftest import Servers


def test_it_names_the_test_and_the_line(servers: Servers) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        psycopg.connect(servers.web_url.replace("+psycopg", ""))
        gc.collect()
    (warned,) = [str(warning.message) for warning in caught if "while still open" in str(warning.message)]
    assert "test_it_names_the_test_and_the_line" in warned
    assert "test_open_connections.py:" in warned


def test_one_that_was_closed_says_nothing(servers: Servers) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        psycopg.connect(servers.web_url.replace("+psycopg", "")).close()
        gc.collect()
    assert [warning for warning in caught if "while still open" in str(warning.message)] == []
