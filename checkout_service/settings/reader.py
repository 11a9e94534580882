"""Reads the environment for the settings: every variable is checked, and every fault remembered.

Settings are what the rest of the service takes; see ``settings``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from hashlib import sha256
from importlib.util import find_spec
from typing import Any, Final, cast
from uuid import UUID

from environs import Env, EnvValidationError

from checkout_service.money import CURRENCIES, why_withdrawn
from checkout_service.settings.database_addresses import fault_of_database
from checkout_service.settings.database_names import DatabaseAddress, fault_of_options, read_names
from checkout_service.settings.errors import SettingsError
from checkout_service.settings.option_checks import checks_of, page_address, taken_by
from checkout_service.settings.origins import Origins, read_origins
from checkout_service.settings.provider_accounts import HOLD_LIMIT, Account, AccountForm
from checkout_service.settings.secret import Secret
from checkout_service.settings.secret_forms import (
    Check,
    encryption_key,
    no_address,
    placeholder,
    shared_secret,
    spoiled,
    within_quotes,
)
from checkout_service.settings.server_addresses import fault_of_broker, fault_of_cache
from checkout_service.settings.users import read_users
from checkout_service.spellings import fault_of_subject

DEVELOPMENT_NAMESPACE = UUID("6f1d6c52-9b7e-5c1e-8f43-3d6b8a8c2a11")
HMAC_ALGORITHMS = ("HS256", "HS384", "HS512")
PUBLIC_KEY_ALGORITHMS = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "EdDSA", "PS256", "PS384", "PS512")

OF_NOBODY: Final = frozenset({"iss", "aud", "exp", "nbf", "iat", "jti", "scope"})
"""Claims that are alike in the tokens of many, or another in each token (RFC 7519, section 4.1; RFC 8693)."""

_YEAR: Final = 366 * 86_400

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
    def production(self) -> bool:
        """Whether this is no developer's machine and no test."""
        return self._environment == "production"

    def shared(self, database: str) -> dict[str, Any]:
        return {
            **self.broker(),
            "database_url": self.database(database),
            "redis_url": Secret(self._cache()),
            "database_pooler": self.pooler(),
            "payment_providers": self._providers(),
            "payment_namespace": self._namespace(),
            **self.endpoints(),
        }

    def endpoints(self) -> dict[str, Any]:
        """How webhook endpoints may be called, and what their secrets are encrypted with."""
        name = "WEBHOOK_ALLOW_PRIVATE_ADDRESSES"
        private = bool(self._env.bool(name, False))
        if private and self.production:
            self._faults.append(f"{name}: is refused in production: an endpoint could be in your own network")
        return {
            "webhook_secrets_keys": self._secrets_keys("WEBHOOK_SECRETS_KEY"),
            "webhook_allow_private_addresses": private,
            "webhook_ports": self._ports("WEBHOOK_PORTS", "443,8443"),
        }

    def _secrets_keys(self, name: str) -> tuple[Secret, ...]:
        """A comma list of keys: the first encrypts, all decrypt. None if it is not set."""
        listed = self._env.str(name, "")
        return self.secrets(name, encryption_key) if listed else ()

    def _ports(self, name: str, default: str) -> frozenset[int]:
        listed = [text.strip() for text in self._env.str(name, default).split(",")]
        wrong = [text for text in listed if not re.fullmatch(r"[1-9][0-9]{0,4}", text) or int(text) > 65_535]
        if wrong:
            self._faults.append(f"{name}: numbers of ports with commas between, such as {default}")
        return frozenset(int(text) for text in listed if text not in wrong)

    def broker(self) -> dict[str, Any]:
        """What every process needs that sends or receives tasks: the broker, which is REDIS_URL unless it is set."""
        for name in ("CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL"):
            if self._env.str(name, ""):
                self._faults.append(f"{name}: Celery would take it, unchecked; set CELERY_BROKER_URL alone")
        if broker := self._env.str("CELERY_BROKER_URL", ""):
            self._checked("CELERY_BROKER_URL", broker, fault_of_broker)
        else:
            broker = self._cache()
        return {"environment": self._environment, "broker_url": Secret(broker)}

    def _cache(self) -> str:
        return self._checked("REDIS_URL", self._needed("REDIS_URL"), fault_of_cache)

    def database(self, name: str) -> DatabaseAddress:
        """The address of a database, with the names that this deployment has there."""
        names, faults = read_names(os.environ)
        self._faults.extend(faults)
        elsewhere = partial(fault_of_options, names=names)
        return DatabaseAddress(self._checked(name, self._needed(name), fault_of_database, elsewhere), names)

    def callers(self) -> dict[str, Any]:
        secret = self._own_secret("JWT_SECRET", shared_secret)
        jwks = self._checked("JWT_JWKS_URL", self._env.str("JWT_JWKS_URL", ""), self._issuer)
        if bool(secret) == bool(jwks):
            self._faults.append("JWT_SECRET, JWT_JWKS_URL: set exactly one of the two")
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
            "jwt_issuer": self._token_text("JWT_ISSUER", "") or None,
            "jwt_subject_claim": self._subject_claim(),
        }

    def _subject_claim(self) -> str:
        claim = self._token_text("JWT_SUBJECT_CLAIM", "sub")
        if not claim:
            self._faults.append("JWT_SUBJECT_CLAIM: is set, and empty: name a claim, or leave it out")
        if claim in OF_NOBODY:
            self._faults.append(f"JWT_SUBJECT_CLAIM: {claim} says nothing of who a token is about")
        return claim

    def _token_text(self, name: str, default: str) -> str:
        """What tokens are compared with: it is kept beside each customer, so it has the bounds of their names."""
        text = self.text(name, default)
        if text and (fault := fault_of_subject(text)):
            self._faults.append(f"{name}: {fault}")
        return text

    def _issuer(self, value: str) -> str | None:
        return no_address(value, "https") if self.production else page_address(value)

    def _own_secret(self, name: str, *checks: Check) -> str:
        """A secret that whoever deploys us has made; '' if it is not set."""
        secret = self._checked(name, self._env.str(name, ""), *checks, *([placeholder] if self.production else []))
        if secret and self.production and len(secret.encode("utf-8", "surrogateescape")) < 32:
            self._faults.append(f"{name}: shorter than 32 bytes, which is too weak in production")
        return secret

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
            self._faults.append(f"PAYMENT_PROVIDERS: {name} needs: {form.package.remedy}")
        options = {option: self._needed(_setting(name, option)) for option in form.needed}
        options |= {option: self._env.str(_setting(name, option), "") for option in form.optional}
        if reads:
            options |= {option: self._needed(_setting(name, option)) for option in form.reading}
        for option, value in options.items():
            self._checked(_setting(name, option), value, *checks_of(name, form, option))
        if form.misfit and (found := form.misfit(options)):
            self._faults.append(f"{_setting(name, found[0])}: {found[1]}")
        return Account(
            options={option: Secret(value) for option, value in options.items() if value},
            secrets=self._webhook_secrets(name, form, options) if reads and form.secrets else (),
            tolerance=tolerance,
            deployment=self._deployment(),
            hold_limit=self._hold_limit(name) if reads else HOLD_LIMIT,
        )

    def _webhook_secrets(self, name: str, form: AccountForm, options: Mapping[str, str]) -> tuple[Secret, ...]:
        """Those of an account with these options; none where none are set and none are needed."""
        setting, needed_by = _setting(name, "webhook_secrets"), form.secrets_needed_by
        if needed_by is not None and self._env.str(setting, None) is None:
            for option, value in needed_by.items():
                if options.get(option) == value:
                    self._faults.append(f"{setting}: is needed with {_setting(name, option)}={value}")
            return ()
        # An option that is wrong itself is named as such already.
        whole = {
            option: value
            for option, value in options.items()
            if value and not _first_fault(value, checks_of(name, form, option))
        }
        return self.secrets(setting, *checks_of(name, form, "webhook_secrets"), partial(taken_by, name, whole))

    def _hold_limit(self, name: str) -> timedelta:
        limit = self.number(_setting(name, "hold_limit_seconds"), int(HOLD_LIMIT.total_seconds()), most=_YEAR)
        return timedelta(seconds=limit or 0)

    def _deployment(self) -> str:
        """A short name that stays the same as long as PAYMENT_NAMESPACE does, and does not show it."""
        namespace = self._namespace()
        return sha256(namespace.bytes).hexdigest()[:16] if namespace else ""

    def secrets(self, name: str, *checks: Check) -> tuple[Secret, ...]:
        """A comma list of secrets, all of them live. Each is checked by itself: one that works hides no other."""
        given = self._needed(name)
        listed = given.strip()
        quoted = within_quotes(listed)
        values = [value.strip() for value in listed[quoted : len(listed) - quoted].split(",")]
        values = [value for value in values if value]
        if quoted:
            self._faults.append(f"{name}: has quotation marks around it")
        elif given and not values:
            self._faults.append(f"{name}: holds no secret")
        for place, value in enumerate(values, start=1):
            if fault := _first_fault(value, [spoiled, *checks]):
                self._faults.append(f"{name}: {f'number {place} of {len(values)} ' if len(values) > 1 else ''}{fault}")
        if self.production and any(len(value) < 16 for value in values):
            self._faults.append(f"{name}: a secret shorter than 16 characters is too weak in production")
        return tuple(Secret(value) for value in values) or (Secret(""),)

    def users(self, name: str, *, needed: bool = False) -> dict[str, Secret]:
        """Who may sign in with a password; nobody if it is not set."""
        listed = self._needed(name) if needed else self._env.str(name, "")
        users, faults = read_users(listed, production=self.production) if listed else ({}, [])
        self._faults.extend(f"{name}: {fault}" for fault in faults)
        return users

    def link(self, name: str) -> str:
        """An address that pages lead to, without a slash at its end; '' if it is not set."""
        return self._checked(name, self._env.str(name, ""), page_address).rstrip("/")

    def order_number_prefix(self) -> str:
        """What is written before the numbers of orders; people type it, so it is short and plain."""
        prefix = self.text("ORDER_NUMBER_PREFIX", "")
        if not re.fullmatch(r"(|[A-Za-z0-9._/-]{0,15}[A-Za-z._/-])", prefix):
            self._faults.append(
                "ORDER_NUMBER_PREFIX: up to 16 of A-Z, a-z, 0-9 and . _ / -, and no digit at the end, "
                "where the number begins"
            )
        return prefix

    def origins(self, name: str, *, exact: bool = False) -> Origins | None:
        """A comma list of origins; None if it is not set.

        ``exact`` says that each is named whole.
        """
        origins, faults = read_origins(self._env.str(name, ""))
        if exact and origins is not None and origins.under:
            faults.append("has a *: name each origin whole, since customers are sent there")
        self._faults.extend(f"{name}: {fault}" for fault in faults)
        return origins

    def metrics_token(self) -> Secret | None:
        """What a scrape has to show; None if it is not set."""
        token = self.text("METRICS_TOKEN", "")
        if not re.fullmatch(r"[\x21-\x7e]*", token):
            self._faults.append("METRICS_TOKEN: must be visible ASCII characters, without a space")
        if token and self.production and len(token) < 16:
            self._faults.append("METRICS_TOKEN: shorter than 16 characters, which is too weak in production")
        return Secret(token) if token else None

    def duration(self, name: str, seconds: int) -> timedelta:
        return timedelta(seconds=self.number(name, seconds) or 0)

    def refuse(self, name: str, fault: str) -> None:
        """Remember a fault that the caller found."""
        self._faults.append(f"{name}: {fault}")

    def namespace(self) -> UUID:
        """What ids are computed within."""
        return self._namespace()

    def number(self, name: str, default: int, *, least: int = 1, most: int | None = None) -> int:
        value = self._env.int(name, default)
        if value is not None and value < least:
            self._faults.append(f"{name}: must be at least {least}")
        if value is not None and most is not None and value > most:
            self._faults.append(f"{name}: must be at most {most}")
        return value

    def refuse_same(self, name: str, value: int, other: str, other_value: int) -> None:
        """Remember it as a fault if two settings that must differ are the same."""
        if value == other_value:
            self._faults.append(f"{other}: must not be {name}")

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

    def _needed(self, name: str) -> str:
        value = self._env.str(name)
        if value == "":
            self._faults.append(f"{name}: is set, and empty")
        return value or ""

    def _checked(self, name: str, value: str, *checks: Check) -> str:
        """The value. What is wrong with it is remembered, and never the value; one that is not set is not looked at."""
        if value and (fault := _first_fault(value, [spoiled, *checks])):
            self._faults.append(f"{name}: {fault}")
        return value

    def _providers(self) -> tuple[str, ...]:
        default = [] if self.production else ["mock"]
        names = tuple(name.strip() for name in self._env.list("PAYMENT_PROVIDERS", default) or ())
        for name in names:
            if name not in self._forms:
                self._faults.append(f"PAYMENT_PROVIDERS: {name!r} is none of {', '.join(self._forms)}")
            elif self.production and not self._forms[name].production:
                self._faults.append(f"PAYMENT_PROVIDERS: {name} takes no money and is refused in production")
        # In production none may be on: then carts, past payments and webhooks are served, and nothing can be paid.
        if not names and not self.production:
            self._faults.append("PAYMENT_PROVIDERS: name at least one provider")
        return names

    def pooler(self) -> str:
        """What pools connections in front of the database."""
        pooler = self._env.str("DATABASE_POOLER", "none")
        if pooler not in {"none", "transaction"}:
            self._faults.append(f"DATABASE_POOLER: {pooler!r} is neither none nor transaction")
        return pooler

    def yes(self, name: str, *, yes: str, no: str) -> bool:
        """Whether a setting of two words is the one; unset, it is the other."""
        value = self._env.str(name, no)
        if value not in {yes, no}:
            self._faults.append(f"{name}: {value!r} is neither {no} nor {yes}")
        return value == yes

    def _namespace(self) -> UUID:
        if self.production:
            return self._env.uuid("PAYMENT_NAMESPACE")
        return self._env.uuid("PAYMENT_NAMESPACE", DEVELOPMENT_NAMESPACE)

    def currency(self) -> str:
        """``DEFAULT_CURRENCY``, which carts alone go by."""
        currency = self._env.str("DEFAULT_CURRENCY", "USD")
        if currency not in CURRENCIES:
            why = why_withdrawn(currency)
            wrong = f"DEFAULT_CURRENCY: {currency!r} is no ISO 4217 currency"
            self._faults.append(f"{wrong} ({why})" if why else wrong)
        return currency


def _setting(provider: str, option: str) -> str:
    return f"{provider}_{option}".upper()


def _first_fault(value: str, checks: Sequence[Check]) -> str | None:
    return next((fault for check in checks if (fault := check(value))), None)
