"""API keys as operators make them, and programs that send them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

from click.testing import Result
from flask import Flask

from checkout_service.api.scopes import Scope
from checkout_service.identity.key_form import prefix_of
from tests.conftest import Customer, Sql

ALL_SCOPES = tuple(Scope)


def flask_api_keys(app: Flask, *arguments: Any) -> Result:
    """``checkout api-keys …``; MIGRATION_DATABASE_URL has to be set."""
    return app.test_cli_runner().invoke(args=["api-keys", *map(str, arguments)])


def made_key(app: Flask, *scopes: str, options: tuple[str, ...] = ()) -> str:
    """A new key with these scopes."""
    given = [part for scope in scopes for part in ("--scope", scope)]
    result = flask_api_keys(app, "create", *given, *options)
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()[-1]


def id_of(sql: Sql, key: str) -> UUID:
    found: UUID = sql("SELECT id FROM api_keys WHERE prefix = :prefix", prefix=prefix_of(key))[0].id
    return found


def program_of(customer: Customer, sql: Sql, key: str) -> Customer:
    """A program that sends this key, with the client of this customer."""
    return replace(customer, id=id_of(sql, key), headers={"Authorization": f"Bearer {key}"})
