"""Reads the environment for the settings: every variable is checked, and every fault remembered.

Settings are what the rest of the service takes; see ``settings``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from hashlib import sha256
from importlib.util import find_spec
from typing import Any, Final, cast
from uuid import UUID

from environs import Env, EnvValidationError
from marshmallow import ValidationError
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from checkout_service.money import CURRENCIES
from checkout_service.settings.errors import SettingsError
from checkout_service.settings.provider_accounts import Account, AccountForm
from checkout_service.settings.secret import Secret

DEVELOPMENT_NAMESPACE = UUID("6f1d6c52-9b7e-5c1e-8f43-3d6b8a8c2a11")
HMAC_ALGORITHMS = ("HS256", "HS384", "HS512")
PUBLIC_KEY_ALGORITHMS = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "EdDSA", "PS256", "PS384", "PS512")


RENAMED: Final = {
    "LETTERS_MAX_ROWS": "WEBHOOKS_MAX_ROWS",
    "LETTERS_MAX_BYTES": "WEBHOOKS_MAX_BYTES",
    "LETTERS_RETENTION_DAYS": "WEBHOOKS_RETENTION_DAYS",
}
"""Settings of an earlier version, and what each is called now. One that is still set is refused at start: it would be
without effect, and nobody would know."""


class Reader:
    """Reads variables and remembers each fault instead of stopping at the first.

    ``providers`` are the settings of an account at each provider that is installed, by its name.
    """

    def __init__(self, providers: Mapping[str, AccountForm] | None = None) -> None:
        self._env = Env(eager=False)
        self._forms = providers or {}
        self._faults = [f"{old}: it is called {new} now" for old, new in RENAMED.items() if old in os.environ]
        self._environment = self._env.str("ENVIRONMENT", "development")
        if self._environment not in {"development", "test", "production"}:
            self._faults.append(f"ENVIRONMENT: {self._environment!r} is none of development, test, production")

    @property
    def _production(self) -> bool:
        return self._environment == "production"

    def shared(self, database: str) -> dict[str, Any]:
        return {
            **self.broker(),
            "database_url": self.database(database),
            "redis_url": Secret(self._needed("REDIS_URL", _one_of("redis://", "rediss://", "unix://"))),
            "database_pooler": self._pooler(),
            "payment_providers": self._providers(),
            "payment_namespace": self._namespace(),
            "default_currency": self._currency(),
        }

    def broker(self) -> dict[str, Any]:
        """What every process needs that sends or receives tasks: the broker, which is REDIS_URL unless it is set."""
        broker = self._env.str("CELERY_BROKER_URL", "") or self._needed("REDIS_URL")
        if broker and not broker.startswith(("redis://", "rediss://", "amqp://", "amqps://")):
            self._faults.append("CELERY_BROKER_URL: must begin with redis://, rediss://, amqp:// or amqps://")
        return {"environment": self._environment, "broker_url": Secret(broker)}

    def database(self, name: str) -> Secret:
        text = self._needed(name)
        try:
            url = make_url(text) if text else None
        except (ArgumentError, ValueError):  # the latter for a port that is no number
            self._faults.append(f"{name}: is not a database URL")
            return Secret("")
        if url is None:
            return Secret("")
        if url.drivername not in {"postgresql", "postgresql+psycopg", "postgres"}:
            self._faults.append(f"{name}: must be a postgresql:// URL")
        return Secret(with_psycopg(url))

    def callers(self) -> dict[str, Any]:
        secret = self._env.str("JWT_SECRET", "")
        jwks = self._env.str("JWT_JWKS_URL", "")
        if bool(secret) == bool(jwks):
            self._faults.append("JWT_SECRET, JWT_JWKS_URL: set exactly one of the two")
        if secret and self._production and len(secret.encode()) < 32:
            self._faults.append("JWT_SECRET: shorter than 32 bytes, which is too weak in production")
        if jwks and not jwks.startswith("https://") and (self._production or not jwks.startswith("http://")):
            self._faults.append("JWT_JWKS_URL: must begin with https://")
        allowed = HMAC_ALGORITHMS if secret else PUBLIC_KEY_ALGORITHMS
        default = ["HS256"] if secret else ["RS256", "ES256", "EdDSA"]
        algorithms = tuple(self._env.list("JWT_ALGORITHMS", default) or ())
        if not algorithms:
            self._faults.append("JWT_ALGORITHMS: name at least one, or leave it out")
        for wrong in [name for name in algorithms if name not in allowed]:
            self._faults.append(f"JWT_ALGORITHMS: {wrong!r} cannot be checked with the configured key")
        return {
            "jwt_secret": Secret(secret) if secret else None,
            "jwt_jwks_url": jwks or None,
            "jwt_algorithms": algorithms,
            "jwt_audience": self._env.str("JWT_AUDIENCE", "") or None,
            "jwt_issuer": self._env.str("JWT_ISSUER", "") or None,
        }

    def accounts(self, *, reads: bool) -> dict[str, Account]:
        """The account at each provider that is on and, for who ``reads`` webhooks, at each that is set up besides."""
        on = self._providers()
        tolerance = self.duration("WEBHOOK_TOLERANCE_SECONDS", 300) if reads else timedelta(0)
        return {
            name: self._account(name, form, reads=reads, tolerance=tolerance)
            for name, form in self._forms.items()
            if name in on or (reads and self._is_set_up(name, form))
        }

    def _is_set_up(self, name: str, form: AccountForm) -> bool:
        """Whether a provider that is off may still send webhooks about payments that it opened."""
        options = [*form.needed, *form.reading, *(["webhook_secrets"] if form.secrets else [])]
        return any(self._env.str(_setting(name, option), "") for option in options)

    def _account(self, name: str, form: AccountForm, *, reads: bool, tolerance: timedelta) -> Account:
        if form.package and find_spec(form.package.module) is None:
            self._faults.append(f"PAYMENT_PROVIDERS: {name} needs: pip install '{form.package.install}'")
        options = {option: self._needed(_setting(name, option)) for option in form.needed}
        options |= {option: self._env.str(_setting(name, option), "") for option in form.optional}
        if reads:
            options |= {option: self._needed(_setting(name, option)) for option in form.reading}
        secrets = self.secrets(_setting(name, "webhook_secrets")) if reads and form.secrets else ()
        for option, value in [*options.items(), *(("webhook_secrets", secret.reveal()) for secret in secrets)]:
            if value and option in form.shapes and not re.fullmatch(form.shapes[option], value):
                self._faults.append(f"{_setting(name, option)}: does not look like one of {name}'s")
        return Account(
            options={option: Secret(value) for option, value in options.items() if value},
            secrets=secrets,
            tolerance=tolerance,
            deployment=self._deployment(),
        )

    def _deployment(self) -> str:
        """A short name that stays the same as long as PAYMENT_NAMESPACE does, and does not show it."""
        namespace = self._namespace()
        return sha256(namespace.bytes).hexdigest()[:16] if namespace else ""

    def secrets(self, name: str) -> tuple[Secret, ...]:
        values = [value.strip() for value in self._needed(name).split(",")]
        values = [value for value in values if value]
        if self._production and any(len(value) < 16 for value in values):
            self._faults.append(f"{name}: a secret shorter than 16 characters is too weak in production")
        return tuple(Secret(value) for value in values) or (Secret(""),)

    def duration(self, name: str, seconds: int) -> timedelta:
        return timedelta(seconds=self.number(name, seconds) or 0)

    def number(self, name: str, default: int, *, least: int = 1, most: int | None = None) -> int:
        value = self._env.int(name, default)
        if value is not None and value < least:
            self._faults.append(f"{name}: must be at least {least}")
        if value is not None and most is not None and value > most:
            self._faults.append(f"{name}: must be at most {most}")
        return value

    def text(self, name: str, default: str) -> str:
        return self._env.str(name, default)

    def finish(self) -> None:
        """Raise SettingsError if anything was wrong."""
        try:
            self._env.seal()
        except EnvValidationError as error:
            found = cast("Mapping[str, list[str]]", error.error_messages)
            self._faults.extend(f"{name}: {message}" for name, messages in found.items() for message in messages)
        if self._faults:
            raise SettingsError("\n".join(dict.fromkeys(self._faults)))

    def _needed(self, name: str, check: Callable[[str], None] | None = None) -> str:
        value = self._env.str(name, validate=check) if check else self._env.str(name)
        return value or ""

    def _providers(self) -> tuple[str, ...]:
        default = [] if self._production else ["mock"]
        names = tuple(name.strip() for name in self._env.list("PAYMENT_PROVIDERS", default) or ())
        for name in names:
            if name not in self._forms:
                self._faults.append(f"PAYMENT_PROVIDERS: {name!r} is none of {', '.join(self._forms)}")
            elif self._production and not self._forms[name].production:
                self._faults.append(f"PAYMENT_PROVIDERS: {name} takes no money and is refused in production")
        # In production none may be on: then carts, past payments and webhooks are served, and nothing can be paid.
        if not names and not self._production:
            self._faults.append("PAYMENT_PROVIDERS: name at least one provider")
        return names

    def _pooler(self) -> str:
        pooler = self._env.str("DATABASE_POOLER", "none")
        if pooler not in {"none", "transaction"}:
            self._faults.append(f"DATABASE_POOLER: {pooler!r} is neither none nor transaction")
        return pooler

    def _namespace(self) -> UUID:
        if self._production:
            return self._env.uuid("PAYMENT_NAMESPACE")
        return self._env.uuid("PAYMENT_NAMESPACE", DEVELOPMENT_NAMESPACE)

    def _currency(self) -> str:
        currency = self._env.str("DEFAULT_CURRENCY", "USD")
        if currency not in CURRENCIES:
            self._faults.append(f"DEFAULT_CURRENCY: {currency!r} is no ISO 4217 currency")
        return currency


def _setting(provider: str, option: str) -> str:
    return f"{provider}_{option}".upper()


def with_psycopg(url: URL) -> str:
    """The URL with the driver named, so that any spelling of it reaches psycopg 3."""
    return url.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)


def _one_of(*prefixes: str) -> Callable[[str], None]:
    def check(value: str) -> None:
        if not value.startswith(prefixes):
            raise ValidationError("must begin with " + " or ".join(prefixes))

    return check
