"""Makes and changes webhook endpoints: each change is one statement with its line in the audit.

The key of the command makes it the same one when it is sent twice. What the web tier may not write the owner's triggers
and functions do (migrations/endpoints/rules.sql): versions, what becomes due, the end of secrets.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from flask import current_app

from checkout_service.api.problems import IdempotencyKeyReused, Invalid, NotFound
from checkout_service.api.responses import show_time
from checkout_service.api_versions import API_VERSIONS
from checkout_service.commands.models import LONGEST_OPERATOR, LONGEST_WHY, Action
from checkout_service.commands.operations import Origin
from checkout_service.database.engine import Conflict, constraint_of, execute
from checkout_service.database.statements import Statement
from checkout_service.endpoints.addresses import Policy, RefusedAddressError, check_url
from checkout_service.endpoints.problems import (
    EndpointDisabled,
    NoSecretsKey,
    TooManyEndpoints,
    TooManySecrets,
    TooManyTestEvents,
)
from checkout_service.endpoints.queries import endpoint_of
from checkout_service.endpoints.secrets import OLD_FOR, NewSecret, NoSecretsKeyError, make_secret
from checkout_service.endpoints.states import EndpointState, Payload, Signing
from checkout_service.settings.secret import Secret
from checkout_service.settings.values import SharedSettings

KEY_TAKEN: Final = "audit_key"
"""The name by which the audit says that a command with this key is there."""


def audited(action: Action, *, subject: str, source: str, details: str = "CAST(:details AS jsonb)") -> str:
    """An INSERT of a command's line, for a CTE: ``subject`` and ``details`` are SQL over the rows of ``source``."""
    return f"""
        INSERT INTO audit (key, door, operator, action, subject, why, details)
        SELECT CAST(:key AS uuid), :door, :operator, '{action}', {subject}, :why, {details} FROM {source}
    """  # noqa: S608 (only our own constants)


def audit_values(origin: Origin, details: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The values that ``audited`` names."""
    return {
        "key": origin.key,
        "door": origin.door.value,
        "operator": origin.operator[:LONGEST_OPERATOR],
        "why": origin.why[:LONGEST_WHY],
        "details": json.dumps(details or {}),
    }


_create = Statement(f"""
    WITH made AS (
        INSERT INTO webhook_endpoints (url, types, payload, in_order, signing, description, api_version)
        SELECT CAST(:url AS text), CAST(:types AS text[]), CAST(:payload AS text), CAST(:in_order AS boolean),
            CAST(:signing AS text), CAST(:description AS text), CAST(:api_version AS text)
        WHERE (SELECT count(*) FROM webhook_endpoints WHERE deleted_at IS NULL) < CAST(:most AS integer)
        RETURNING id
    ), secret AS (
        INSERT INTO endpoint_secrets (endpoint_id, scheme, ciphertext)
        SELECT id, CAST(:signing AS text), CAST(:ciphertext AS bytea) FROM made
    ), command AS ({audited(Action.CREATE_ENDPOINT, subject="id::text", source="made")})
    SELECT id FROM made
""")  # noqa: S608 (only our own constants)

# What is not given stays. To disable what is disabled keeps why it is so; to enable it makes all that waits due.
_change = Statement(f"""
    WITH changed AS (
        UPDATE webhook_endpoints SET
            url = coalesce(CAST(:url AS text), url),
            types = CASE WHEN CAST(:has_types AS boolean) THEN CAST(:types AS text[]) ELSE types END,
            payload = coalesce(CAST(:payload AS text), payload),
            in_order = coalesce(CAST(:in_order AS boolean), in_order),
            description = coalesce(CAST(:description AS text), description),
            api_version = coalesce(CAST(:api_version AS text), api_version),
            state = coalesce(CAST(:state AS endpoint_state), state),
            state_reason = CASE WHEN CAST(:state AS endpoint_state) IS NULL
                OR state = 'disabled' AND CAST(:state AS endpoint_state) = 'disabled' THEN state_reason
                ELSE 'requested' END,
            updated_at = now()
        WHERE id = CAST(:id AS uuid) AND deleted_at IS NULL
        RETURNING id
    ), command AS ({audited(Action.CHANGE_ENDPOINT, subject="id::text", source="changed")})
    SELECT id FROM changed
""")  # noqa: S608 (only our own constants)

_delete = Statement(f"""
    WITH deleted AS (
        UPDATE webhook_endpoints SET deleted_at = now(), updated_at = now()
        WHERE id = CAST(:id AS uuid) AND deleted_at IS NULL
        RETURNING id, url
    ), command AS ({
    audited(Action.DELETE_ENDPOINT, subject="id::text", source="deleted", details="jsonb_build_object('url', url)")
})
    SELECT id FROM deleted
""")  # noqa: S608 (only our own constants)

_rotate = Statement(f"""
    WITH rotated AS MATERIALIZED (
        SELECT endpoint_rotate_secret(CAST(:id AS uuid), CAST(:signing AS text), CAST(:ciphertext AS bytea),
            make_interval(secs => CAST(:old_for AS integer))) AS id
    ), command AS ({audited(Action.ROTATE_SECRET, subject=":id", source="rotated WHERE id IS NOT NULL")})
    SELECT id FROM rotated WHERE id IS NOT NULL
""")  # noqa: S608 (only our own constants)

_test = Statement(f"""
    WITH made AS MATERIALIZED (SELECT endpoint_send_test(CAST(:id AS uuid)) AS id),
    command AS ({
    audited(
        Action.TEST_ENDPOINT,
        subject=":id",
        source="made WHERE id IS NOT NULL",
        details="jsonb_build_object('event', id)",
    )
})
    SELECT id FROM made WHERE id IS NOT NULL
""")  # noqa: S608 (only our own constants)

_by_key = Statement("SELECT door, operator, action, subject, details FROM audit WHERE key = CAST(:key AS uuid)")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownSecret:
    """An endpoint as the API shows it, and its new secret, which nobody can read again.

    ``old_until`` is when the secrets before it end; None where there were none.
    """

    endpoint: dict[str, Any]
    secret: Secret
    old_until: datetime | None = None


def endpoint_policy() -> Policy:
    """Which addresses this deployment allows."""
    settings: SharedSettings = current_app.extensions["settings"]
    return Policy(private=settings.webhook_allow_private_addresses, ports=settings.webhook_ports)


def create_endpoint(
    *,
    url: str,
    types: Sequence[str] | None,
    origin: Origin,
    description: str = "",
    payload: Payload = Payload.SNAPSHOT,
    in_order: bool = True,
    signing: Signing = Signing.V1,
    api_version: str | None = None,
) -> ShownSecret:
    """Make an endpoint, which begins with the next event; ``types`` None are all, ``api_version`` None is the newest.

    Raises Invalid for an address that is refused, NoSecretsKey, TooManyEndpoints and DatabaseUnavailableError.
    """
    _check(url)
    made = _new_secret(signing)
    most: int = current_app.extensions["settings"].webhook_endpoints_max
    chosen = {
        "url": url,
        "types": None if types is None else sorted(set(types)),
        "payload": payload.value,
        "in_order": in_order,
        "signing": signing.value,
        "description": description,
        "api_version": api_version or API_VERSIONS.newest,
    }
    values = chosen | audit_values(origin, chosen) | {"most": most, "ciphertext": made.ciphertext}
    rows = _once(_create, values, origin, Action.CREATE_ENDPOINT)
    if rows is not None and not rows:
        raise TooManyEndpoints(most=most)
    endpoint_id = rows[0].id if rows else UUID(find_command(origin.key)["subject"])
    return ShownSecret(endpoint=_shown(endpoint_id), secret=made.shown)


def change_endpoint(endpoint_id: UUID, changes: Mapping[str, Any], *, origin: Origin) -> dict[str, Any]:
    """Change what is named: url, types (None are all), payload, in_order, description, api_version, state.

    The state is enabled, which makes all that waits there due at once, or disabled. The endpoint as it is then. Raises
    NotFound, Invalid for an address that is refused, and DatabaseUnavailableError.
    """
    if changes.get("url") is not None:
        _check(changes["url"])
    types = changes.get("types")
    values = {
        "id": endpoint_id,
        "url": changes.get("url"),
        "has_types": "types" in changes,
        "types": None if types is None else sorted(set(types)),
        "payload": changes.get("payload"),
        "in_order": changes.get("in_order"),
        "description": changes.get("description"),
        "api_version": changes.get("api_version"),
        "state": changes.get("state"),
    }
    rows = _once(_change, values | audit_values(origin, changes), origin, Action.CHANGE_ENDPOINT, str(endpoint_id))
    if rows is not None and not rows:
        raise _no_endpoint()
    return _shown(endpoint_id)


def enable_endpoint(endpoint_id: UUID, *, origin: Origin) -> dict[str, Any]:
    """Have events sent to it again, all that waits at once. Raises as ``change_endpoint``."""
    return change_endpoint(endpoint_id, {"state": EndpointState.ENABLED.value}, origin=origin)


def disable_endpoint(endpoint_id: UUID, *, origin: Origin) -> dict[str, Any]:
    """Have nothing sent to it until somebody enables it. Raises as ``change_endpoint``."""
    return change_endpoint(endpoint_id, {"state": EndpointState.DISABLED.value}, origin=origin)


def delete_endpoint(endpoint_id: UUID, *, origin: Origin) -> None:
    """Send nothing more to it, for good: its secrets end, its replays stop. Raises NotFound."""
    values = {"id": endpoint_id} | audit_values(origin)
    rows = _once(_delete, values, origin, Action.DELETE_ENDPOINT, str(endpoint_id))
    if rows is not None and not rows:
        raise _no_endpoint()


def rotate_secret(
    endpoint_id: UUID, *, origin: Origin, old_for: timedelta = OLD_FOR, signing: Signing | None = None
) -> ShownSecret:
    """Give it a new secret, of its scheme unless another is named. Those before go on signing ``old_for``, to 7 days.

    Raises NotFound, NoSecretsKey, TooManySecrets and DatabaseUnavailableError.
    """
    endpoint = endpoint_of(endpoint_id)
    if endpoint is None:
        raise _no_endpoint()
    made = _new_secret(signing or Signing(endpoint["signing"]))
    seconds = int(old_for.total_seconds())
    values = {"id": str(endpoint_id), "signing": made.signing.value, "ciphertext": made.ciphertext, "old_for": seconds}
    details = {"signing": made.signing.value, "old_for": seconds}
    until = datetime.now(UTC) + old_for
    try:
        rows = _once(_rotate, values | audit_values(origin, details), origin, Action.ROTATE_SECRET, str(endpoint_id))
    except Conflict as error:
        if constraint_of(error) == "endpoint_secrets_few":
            raise TooManySecrets from error
        raise
    if rows is not None and not rows:
        raise _no_endpoint()
    return ShownSecret(endpoint=endpoint | {"signing": made.signing.value}, secret=made.shown, old_until=until)


def show_end(rotated: ShownSecret) -> str | None:
    """When the secrets before a new one end, as the API shows it."""
    return None if rotated.old_until is None else show_time(rotated.old_until)


def send_test(endpoint_id: UUID, *, origin: Origin) -> UUID:
    """Have a test event sent to it, of the type ``webhook_endpoint.test``; the event's id.

    Raises NotFound, EndpointDisabled, TooManyTestEvents and DatabaseUnavailableError.
    """
    values = {"id": str(endpoint_id)} | audit_values(origin)
    try:
        rows = _once(_test, values, origin, Action.TEST_ENDPOINT, str(endpoint_id))
    except Conflict as error:
        name = constraint_of(error)
        if name == "webhook_endpoints_not_disabled":
            raise EndpointDisabled from error
        if name == "pending_deliveries_few_tests":
            raise TooManyTestEvents from error
        raise
    if rows is None:
        return UUID(find_command(origin.key)["details"]["event"])
    if not rows:
        raise _no_endpoint()
    found: UUID = rows[0].id
    return found


def find_command(key: UUID) -> dict[str, Any]:
    """The line of the audit that has this key."""
    found: dict[str, Any] = execute(_by_key, {"key": key})[0]._asdict()
    return found


def check_same(origin: Origin, action: Action, subject: str | None) -> None:
    """Raise IdempotencyKeyReused unless the command that has the key is this one."""
    found = find_command(origin.key)
    given = (origin.door.value, origin.operator[:LONGEST_OPERATOR], action.value, subject or found["subject"])
    if (found["door"], found["operator"], found["action"], found["subject"]) != given:
        raise IdempotencyKeyReused("This key belongs to another request: use a new one.")


def _once(
    statement: Statement, values: Mapping[str, Any], origin: Origin, action: Action, subject: str | None = None
) -> Sequence[Any] | None:
    """The rows of a command's statement, or None where it was carried out before with this key."""
    try:
        return execute(statement, values)
    except Conflict as error:
        if constraint_of(error) != KEY_TAKEN:
            raise
    check_same(origin, action, subject)
    return None


def _check(url: str) -> None:
    try:
        check_url(url, endpoint_policy())
    except RefusedAddressError as error:
        raise Invalid(errors=[{"pointer": "/url", "detail": error.reason}]) from error


def _new_secret(signing: Signing) -> NewSecret:
    settings: SharedSettings = current_app.extensions["settings"]
    try:
        return make_secret(signing, settings.webhook_secrets_keys)
    except NoSecretsKeyError as error:
        raise NoSecretsKey from error


def _shown(endpoint_id: UUID) -> dict[str, Any]:
    found = endpoint_of(endpoint_id)
    if found is None:
        raise _no_endpoint()
    return found


def _no_endpoint() -> NotFound:
    return NotFound("There is no such webhook endpoint.")
