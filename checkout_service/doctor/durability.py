"""Checks where a commit is once a webhook is answered 202: on this server's disk, and on which standbys.

Any role may read the settings, and by what names servers replicate. Their states are shown to members of
``pg_read_all_stats`` alone, and ours must be no members. So whether a standby confirms commits is found out by one,
which changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import psycopg

from checkout_service.database.connections import DeadlineConnection, UnconfirmedCommitError
from checkout_service.database.engine import execute
from checkout_service.database.errors import DatabaseUnavailableError
from checkout_service.database.statements import Statement
from checkout_service.doctor.findings import Finding, advice, ok, unknown, wrong
from checkout_service.doctor.reasons import reason
from checkout_service.settings.database_names import connection_to
from checkout_service.settings.values import DatabaseSettings, SettingsError

ABOUT: Final = "durability"
DISK: Final = "power cuts"

ALONE: Final = "on this server alone"

_COMMIT: Final = "SELECT current_user::text, current_setting('synchronous_commit')"

_server = Statement("""
    SELECT pg_is_in_recovery() AS is_standby, current_setting('fsync') AS fsync,
        current_setting('full_page_writes') AS full_page_writes, current_user::text AS role,
        current_setting('synchronous_commit') AS synchronous_commit,
        current_setting('synchronous_standby_names') AS names, current_setting('cluster_name') AS own_name
""")

# The state is null for who may not see it. A base backup, and a server that catches up, replicate in other states.
_following = Statement("""
    SELECT application_name AS name FROM pg_stat_replication
    WHERE coalesce(state, 'streaming') = 'streaming' AND application_name NOT IN ('pg_basebackup', 'pg_receivewal')
    ORDER BY application_name
""")

_commit_something = Statement("SELECT pg_logical_emit_message(true, 'checkout', '')", calls_writer=True)


@dataclass(frozen=True, kw_only=True)
class Standbys:
    """What ``synchronous_standby_names`` has: a commit waits for so many of these; no names where any will do."""

    number: int
    names: Sequence[str]

    @property
    def in_words(self) -> str:
        """Such as ``one of b, c``."""
        if not self.names:
            return "one standby" if self.number == 1 else f"{self.number} standbys"
        if self.number >= len(self.names):
            return " and ".join(self.names)
        return f"{'one' if self.number == 1 else self.number} of {', '.join(self.names)}"


def standbys_in(setting: str, *, own_name: str) -> Standbys | None:
    """The setting as it is; None where it is empty. A server that names itself waits for the others alone."""
    numbered = re.fullmatch(r"\s*(?:(?:FIRST|ANY)\s+)?(\d+)\s*\((.*)\)\s*", setting, re.IGNORECASE | re.DOTALL)
    number, listed = (int(numbered[1]), numbered[2]) if numbered else (1, setting)
    found = [
        quoted.replace('""', '"') if quoted else plain
        for quoted, plain in re.findall(r'"((?:[^"]|"")*)"|([^\s,"]+)', listed)
    ]
    if not found:
        return None
    if "*" in found:
        return Standbys(number=number, names=[])
    # One that names itself alone waits for nobody that there is: that is said by its name.
    names = [name for name in found if name.lower() != own_name.lower()] or found
    return Standbys(number=number, names=list(dict.fromkeys(names)))


def check_durability() -> Iterator[Finding]:
    """A 202 promises a commit that outlives a power cut, and, where a standby is synchronous, the loss of a server."""
    [server] = execute(_server)
    if server.is_standby:
        yield wrong(ABOUT, "this server is a standby: it takes no writes", "DATABASE_URL has to lead to the primary.")
        return
    levels = {server.role: server.synchronous_commit}
    try:
        levels |= _of_worker()
    except psycopg.Error as error:
        remedy = "See WORKER_DATABASE_URL: what is said here of commits is of the web's alone."
        yield unknown("workers' commits", reason(error), remedy)
    yield judge_disk({"fsync": server.fsync, "full_page_writes": server.full_page_writes}, levels)
    standbys = standbys_in(server.names, own_name=server.own_name)
    following = [row.name for row in execute(_following)]
    if standbys is None:
        yield judge_alone(following)
    elif low := judge_levels(levels, standbys):
        yield low
    else:
        yield _judge_commit(standbys, following, own_name=server.own_name)


def judge_disk(settings: Mapping[str, str], levels: Mapping[str, str]) -> Finding:
    """Whether a commit is on this server's disk: ``levels`` are the roles' ``synchronous_commit``."""
    off = [name for name, value in settings.items() if value == "off"]
    off += [f"synchronous_commit of {role}" for role, level in levels.items() if level == "off"]
    if off:
        return wrong(DISK, f"{', '.join(off)} off", "A power cut loses webhooks that were answered 202: turn on.")
    return ok(DISK, f"a commit is on the disk: {', '.join(settings)} and synchronous_commit are on")


def judge_alone(following: Sequence[str]) -> Finding:
    """No commit waits for anybody, though standbys may follow."""
    behind = f"; nothing waits for {', '.join(following)}" if following else ""
    return advice(
        ABOUT,
        f"{ALONE}{behind}",
        "If it is lost, so is what was answered 202 since the last backup, or what no standby has yet: "
        "synchronous_standby_names = 'ANY 1 (b, c)' has each commit wait for one of two (docs/availability.md).",
    )


def judge_levels(levels: Mapping[str, str], standbys: Standbys) -> Finding | None:
    """Whether a role's commits wait for less than the standby's disk; None where all wait for that."""
    for level, where, judge in (
        ("off", ALONE, wrong),
        ("local", ALONE, wrong),
        ("remote_write", f"on this server, and in the memory of {standbys.in_words}", advice),
    ):
        if roles := [role for role, own in levels.items() if own == level]:
            remedies = " ".join(f"ALTER ROLE {role} SET synchronous_commit = on;" for role in roles)
            remedy = f"{remedies} And look at ALTER ROLE … IN DATABASE … SET, which goes before it (\\drds in psql)."
            return judge(ABOUT, f"{where}: synchronous_commit is {level} for {', '.join(roles)}", remedy)
    return None


def judge_following(standbys: Standbys, following: Sequence[str], *, own_name: str) -> Finding:
    """A commit was confirmed; what is said of a standby that is away, or is the server itself without a name."""
    result = f"on this server and on {standbys.in_words}"
    known = {name.lower() for name in following}
    away = [name for name in standbys.names if name.lower() not in known]
    if away:
        left = len(standbys.names) - len(away)
        then = "nothing is committed" if left <= standbys.number else "fewer are left"
        remedy = f"Start it, with that application_name: where one more goes, {then}."
        if not own_name:
            remedy += " This server has no cluster_name, so one of these may be itself: give it its name."
        return advice(ABOUT, f"{result}; not streaming: {', '.join(away)}", remedy)
    if len(standbys.names) == standbys.number:
        result += "; nothing is committed while one is away"
    return ok(ABOUT, result)


def _of_worker() -> dict[str, str]:
    """The same setting of the workers' role; none where this host has not their settings."""
    try:
        worker = DatabaseSettings.from_environment("WORKER_DATABASE_URL")
    except SettingsError:
        return {}
    parameters = connection_to(worker.database_url, pooler=worker.database_pooler) | {"connect_timeout": 3}
    with DeadlineConnection.connect(**parameters, autocommit=True) as connection:
        return {str(role): str(level) for role, level in connection.execute(_COMMIT.encode())}


def _judge_commit(standbys: Standbys, following: Sequence[str], *, own_name: str) -> Finding:
    """Whether the standbys confirm a commit, within the time for which the web waits. Reads have worked just before."""
    try:
        execute(_commit_something)
    except DatabaseUnavailableError as error:
        if not is_unconfirmed(error):
            remedy = "Run the doctor again once the database answers: whether standbys confirm is not known."
            return unknown(ABOUT, f"no commit could be made: {type(_cause(error)).__name__}", remedy)
        return wrong(
            ABOUT,
            f"no commit is confirmed: it waits for {standbys.in_words}",
            "Start the standby, with that application_name; see pg_stat_replication as a superuser. To go on without: "
            "ALTER SYSTEM SET synchronous_standby_names = ''; SELECT pg_reload_conf();",
        )
    return judge_following(standbys, following, own_name=own_name)


def is_unconfirmed(error: BaseException | None) -> bool:
    """Whether a standby that confirmed nothing is among what led to this error: else the database was away or slow."""
    while error is not None:
        if isinstance(error, UnconfirmedCommitError):
            return True
        error = error.__cause__
    return False


def _cause(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error
