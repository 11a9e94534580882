"""Typed, frozen settings: one set per kind of process, read once, every fault reported at once."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from typing import Any, NamedTuple, Self
from uuid import UUID

from checkout_service.delivery_states import RejectedClass
from checkout_service.settings.catalog_source import CatalogSource, catalog_source, refuse_bad_minutes
from checkout_service.settings.errors import SettingsError
from checkout_service.settings.operators import OidcSettings, Role
from checkout_service.settings.origins import Origins
from checkout_service.settings.provider_accounts import Account, AccountForm
from checkout_service.settings.reader import DEVELOPMENT_NAMESPACE, Reader
from checkout_service.settings.secret import Secret
from checkout_service.settings.settlements import time_zone
from checkout_service.settings.web_reader import WebReader

__all__ = [
    "DEVELOPMENT_NAMESPACE",
    "BrokerSettings",
    "DatabaseSettings",
    "FlowerSettings",
    "MigrationSettings",
    "Networks",
    "ServerSettings",
    "SettingsError",
    "SharedSettings",
    "WebSettings",
    "WorkerSettings",
    "signing_secret",
]


Networks = tuple[IPv4Network | IPv6Network, ...]


@dataclass(frozen=True, kw_only=True)
class TaskSettings:
    """What every process needs that sends or receives tasks."""

    broker_url: Secret
    environment: str = "development"

    @property
    def production(self) -> bool:
        return self.environment == "production"


@dataclass(frozen=True, kw_only=True)
class BrokerSettings(TaskSettings):
    """What beat and Flower need: no more than to send tasks."""

    @classmethod
    def from_environment(cls) -> Self:
        """Read once, at start. Raises SettingsError."""
        env = Reader()
        values = env.broker()
        refuse_bad_minutes(env)
        env.finish()
        return cls(**values)


@dataclass(frozen=True, kw_only=True)
class FlowerSettings:
    """What Flower's pages need beside the broker: where they are served, who may sign in, where the console is."""

    host: str
    port: int
    users: dict[str, Secret]
    console_url: str = ""
    trusted_proxies: Networks | None = None
    """As the web tier's: None where nobody said which proxies are in front."""

    proxy_header: str = "X-Forwarded-For"

    @classmethod
    def from_environment(cls) -> Self:
        """Read once, at start. Raises SettingsError."""
        env = WebReader()
        values: dict[str, Any] = {
            **env.proxies(are_kept=False),
            "host": env.text("FLOWER_ADDRESS", "") or "0.0.0.0",  # noqa: S104 (behind a password)
            "port": env.number("FLOWER_PORT", 5555, most=65_535),
            "users": env.users("FLOWER_BASIC_AUTH", needed=True),
            "console_url": env.link("CONSOLE_URL"),
        }
        env.finish()
        return cls(**values)


@dataclass(frozen=True, kw_only=True)
class SharedSettings(TaskSettings):
    """What web and worker both need."""

    database_url: Secret
    """A DatabaseAddress, which knows the schema and the roles; any other Secret leads to the usual ones."""
    redis_url: Secret
    database_pooler: str = "none"
    payment_providers: tuple[str, ...] = ("mock",)
    payment_namespace: UUID = DEVELOPMENT_NAMESPACE
    accounts: dict[str, Account] = field(default_factory=dict)
    webhook_secrets_keys: tuple[Secret, ...] = ()
    """What the secrets of webhook endpoints are encrypted with; none: no endpoint can be made, and none is sent to."""
    webhook_allow_private_addresses: bool = False
    webhook_ports: frozenset[int] = frozenset({443, 8443})


@dataclass(frozen=True, kw_only=True)
class WebSettings(SharedSettings):
    """What the web tier needs: who is calling, and how long a promise holds. No webhook secret is among it."""

    default_currency: str = "USD"
    jwt_secret: Secret | None = None
    jwt_jwks_url: str | None = None
    jwt_algorithms: tuple[str, ...] = ("HS256",)
    jwt_audience: str | None = None
    jwt_issuer: str | None = None
    jwt_subject_claim: str = "sub"
    """The claim that says who a token is about."""
    session_ttl: timedelta = timedelta(days=1)
    cart_tokens_last: timedelta = timedelta(days=30)
    """How long after their last use guests are known, by a Cart-Token or by the shop's cookie."""
    webhooks_max_rows: int = 1_000_000
    webhooks_max_bytes: int = 4 * 2**30
    web_threads: int = 4
    metrics_token: Secret | None = None
    pages: bool = False
    pages_secret: Secret | None = None
    console: bool = False
    console_users: dict[str, Secret] = field(default_factory=dict)
    console_roles: dict[str, Role | None] = field(default_factory=dict)
    """Roles by the operator's name: a user's with a password, or ``oidc:`` and the subject of one who signs in."""
    console_oidc: OidcSettings | None = None
    """Where operators sign in; None: only by passwords, tokens and API keys."""
    flower_url: str | None = None
    trusted_proxies: Networks | None = None
    """The proxies in front: none of them if empty, and None where nobody said; then no address is believed."""
    proxy_header: str = "X-Forwarded-For"
    cors_origins: Origins | None = None
    """Whose pages may use the API in a browser; None: no other origin's."""
    image_origins: Origins | None = None
    """Where images of listings are; None: nowhere."""
    return_origins: Origins | None = None
    """Of which origins a session's request may name the page that its customer comes back to; None: of none."""
    open_sessions_per_customer: int = 20
    open_sessions_per_guest: int = 5
    open_sessions_per_address: int = 100
    guest_carts_per_address_per_minute: int = 30
    """Carts before log-in, where the address is known; 0 is any number, here and in the next three."""
    sessions_per_caller_per_minute: int = 60
    """Requests to open one."""
    failed_attempts_per_caller_per_hour: int = 20
    """Attempts to pay that failed, after which a caller opens no session."""
    failed_attempts_per_address_per_hour: int = 100
    """The same of an address, after which no guest there does."""
    held_pieces_per_customer: int = 1000
    held_pieces_per_guest: int = 100
    held_pieces_per_address: int = 1000
    webhook_endpoints_max: int = 2000
    settlements_timezone: str = "UTC"
    """By its IANA name: the days and months of settled money."""

    @property
    def pages_key(self) -> bytes:
        """What cookies and forms of pages are signed with: a key of its own, even where it comes from JWT_SECRET."""
        return self._derived_key(b"checkout pages")

    @property
    def addresses_key(self) -> bytes:
        """What callers' addresses are hashed with. Another key forgets who has how many sessions open, and no more."""
        return self._derived_key(b"checkout addresses")

    @property
    def console_key(self) -> bytes:
        """What the cookies of operators are signed with; another issuer or client ends all sessions."""
        oidc = self.console_oidc
        place = f"{oidc.issuer}\n{oidc.client_id}" if oidc else ""
        return self._derived_key(b"checkout console\n" + place.encode())

    def _derived_key(self, purpose: bytes) -> bytes:
        secret = self.pages_secret or self.jwt_secret
        if secret is None:
            raise SettingsError("PAGES_SECRET: it is needed where callers' tokens are checked by JWT_JWKS_URL")
        return hmac.new(secret.reveal().encode(), purpose, hashlib.sha256).digest()

    @classmethod
    def from_environment(cls, providers: Mapping[str, AccountForm]) -> Self:
        """Read once, at start; ``providers`` are those that are installed. Raises SettingsError."""
        env = WebReader(providers)
        values = env.shared("DATABASE_URL")
        values["default_currency"] = env.currency()
        values |= env.callers()
        values |= env.pages()
        values["accounts"] = env.accounts(reads=False)
        values |= env.console()
        values |= env.proxies()
        values |= env.open_sessions()
        values["cors_origins"] = env.origins("CORS_ORIGINS")
        values["image_origins"] = env.origins("IMAGE_ORIGINS")
        values["return_origins"] = env.origins("RETURN_ORIGINS", exact=True)
        values |= {
            "session_ttl": env.duration("SESSION_TTL_SECONDS", 86_400),
            "cart_tokens_last": timedelta(days=env.number("CART_TOKEN_DAYS", 30, most=400) or 0),
            "webhooks_max_rows": env.number("WEBHOOKS_MAX_ROWS", 1_000_000),
            "webhooks_max_bytes": env.number("WEBHOOKS_MAX_BYTES", 4 * 2**30),
            "webhook_endpoints_max": env.number("WEBHOOK_ENDPOINTS_MAX", 2000),
            "web_threads": env.number("WEB_THREADS", 4),
            "settlements_timezone": time_zone(env),
            "metrics_token": env.metrics_token(),
        }
        env.finish()
        return cls(**values)


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """Where the web process listens, and with how many children; none stands for one a core."""

    host: str
    port: int
    management_port: int
    children: int
    production: bool

    @classmethod
    def from_environment(cls) -> Self:
        """Read once, at start. Raises SettingsError."""
        env = Reader()
        values: dict[str, Any] = {
            "host": env.text("HOST", "0.0.0.0"),  # noqa: S104 (a container's port is published by whoever runs it)
            "port": env.number("PORT", 8000, most=65_535),
            "management_port": env.number("MANAGEMENT_PORT", 0, least=0, most=65_535),
            "children": env.number("WEB_CONCURRENCY", 0, least=0),
            "production": env.production,
        }
        env.refuse_same("PORT", values["port"], "MANAGEMENT_PORT", values["management_port"])
        env.finish()
        return cls(**values)


class RejectedBound(NamedTuple):
    """How many rejected webhooks are kept, and how many bytes their bodies have."""

    rows: int
    size: int


@dataclass(frozen=True, kw_only=True)
class WorkerSettings(SharedSettings):
    """What the worker needs; its accounts hold the secrets of webhooks. How long things are kept."""

    webhook_max_attempts: int = 12
    webhooks_retention: timedelta = timedelta(days=30)
    rejected_retention: timedelta = timedelta(days=7)
    rejected_open_max_rows: int = 20_000
    rejected_open_max_bytes: int = 256 * 2**20
    rejected_known_max_rows: int = 10_000
    rejected_known_max_bytes: int = 64 * 2**20
    rejected_max_rows: int = 10_000
    rejected_max_bytes: int = 64 * 2**20
    events_retention: timedelta = timedelta(days=400)
    event_log_retention: timedelta = timedelta(days=30)
    """How long the log of events for the shop is kept; whole days."""
    evidence_due_ahead: timedelta = timedelta(days=3)
    authorization_expiring_ahead: timedelta = timedelta(days=2)
    """How long before the date the event of it is written."""
    stock_low: int = 5
    """So many pieces of a listing, or fewer, are low."""
    refunds_without_stock: bool = False
    cart_tokens_last: timedelta = timedelta(days=30)
    """How long after their last use guests are known; then their carts go."""
    orders_keep_years: int = 0
    """How long the order of a customer who was erased keeps buyer and address, from when it was made."""
    order_number_prefix: str = ""
    catalog_source: CatalogSource | None = None
    """Whose tables listings are taken from; None: nobody's."""
    metrics_token: Secret | None = None

    @property
    def rejected_bounds(self) -> Mapping[RejectedClass, RejectedBound]:
        """How many rejected webhooks are kept, of each class of each provider."""
        return {
            RejectedClass.OPEN: RejectedBound(self.rejected_open_max_rows, self.rejected_open_max_bytes),
            RejectedClass.KNOWN: RejectedBound(self.rejected_known_max_rows, self.rejected_known_max_bytes),
            RejectedClass.UNKNOWN: RejectedBound(self.rejected_max_rows, self.rejected_max_bytes),
        }

    @classmethod
    def from_environment(cls, providers: Mapping[str, AccountForm]) -> Self:
        """Read once, at start; ``providers`` are those that are installed. Raises SettingsError."""
        env = Reader(providers)
        values = env.shared("WORKER_DATABASE_URL")
        values |= {
            "accounts": env.accounts(reads=True),
            "webhook_max_attempts": env.number("WEBHOOK_MAX_ATTEMPTS", 12),
            "webhooks_retention": timedelta(days=env.number("WEBHOOKS_RETENTION_DAYS", 30) or 0),
            "rejected_retention": timedelta(days=env.number("REJECTED_RETENTION_DAYS", 7) or 0),
            "rejected_open_max_rows": env.number("REJECTED_OPEN_MAX_ROWS", 20_000),
            "rejected_open_max_bytes": env.number("REJECTED_OPEN_MAX_BYTES", 256 * 2**20),
            "rejected_known_max_rows": env.number("REJECTED_KNOWN_MAX_ROWS", 10_000),
            "rejected_known_max_bytes": env.number("REJECTED_KNOWN_MAX_BYTES", 64 * 2**20),
            "rejected_max_rows": env.number("REJECTED_MAX_ROWS", 10_000),
            "rejected_max_bytes": env.number("REJECTED_MAX_BYTES", 64 * 2**20),
            "events_retention": timedelta(days=env.number("EVENTS_RETENTION_DAYS", 400) or 0),
            "event_log_retention": timedelta(days=env.number("EVENT_LOG_RETENTION_DAYS", 30, most=3650) or 0),
            "evidence_due_ahead": timedelta(days=env.number("EVIDENCE_DUE_DAYS", 3, most=30) or 0),
            "authorization_expiring_ahead": timedelta(days=env.number("AUTHORIZATION_EXPIRING_DAYS", 2, most=30) or 0),
            "stock_low": env.number("STOCK_LOW", 5, least=0),
            "refunds_without_stock": env.yes("PAID_WITHOUT_STOCK", yes="refund", no="keep"),
            "order_number_prefix": env.order_number_prefix(),
            "cart_tokens_last": timedelta(days=env.number("CART_TOKEN_DAYS", 30, most=400) or 0),
            "orders_keep_years": env.number("ORDERS_KEEP_YEARS", 0, least=0, most=100),
            "catalog_source": catalog_source(env),
            "metrics_token": env.metrics_token(),
        }
        env.finish()
        return cls(**values)


@dataclass(frozen=True, kw_only=True)
class DatabaseSettings:
    """What a look at the database needs, as the web tier or as the workers."""

    database_url: Secret
    database_pooler: str = "none"
    web_threads: int = 4

    @classmethod
    def from_environment(cls, name: str) -> Self:
        """Read once; ``name`` is DATABASE_URL or WORKER_DATABASE_URL. Raises SettingsError."""
        env = Reader()
        values: dict[str, Any] = {
            "database_url": env.database(name),
            "database_pooler": env.pooler(),
            "web_threads": env.number("WEB_THREADS", 4),
        }
        env.finish()
        return cls(**values)


@dataclass(frozen=True, kw_only=True)
class MigrationSettings:
    """What a migration needs: the owner's (or a superuser's) way to the database."""

    database_url: Secret
    image_origins: Origins | None = None
    """Where images of listings may be, for the import."""

    @classmethod
    def from_environment(cls) -> Self:
        """Read once, at start. Raises SettingsError."""
        env = WebReader()
        url = env.database("MIGRATION_DATABASE_URL")
        origins = env.origins("IMAGE_ORIGINS")
        env.finish()
        return cls(database_url=url, image_origins=origins)


def signing_secret(provider: str) -> Secret:
    """The first webhook secret of a provider, for ``checkout mock pay``, which plays the provider and so must sign."""
    env = Reader()
    secrets = env.secrets(f"{provider.upper()}_WEBHOOK_SECRETS")
    env.finish()
    return secrets[0]
