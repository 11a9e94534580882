"""The image, built and run: migrations, a purchase, probes, and an end that leaves nothing half done.

It takes two minutes, and is run by ``make test-install``; ``test_image_files.py`` is its short cut. Where programs or
rights are missing it is skipped, and says so.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from checkout_service.local.demo_catalog import CATALOGUE
from checkout_service.local.purchase import Purchase, buy
from checkout_service.local.servers import free_port
from checkout_service.providers.adapters.mock.provider import sign
from tests.conftest import Servers, Sql
from tests.deploying.containers import Container, Image, built_image, skip_unless_here
from tests.faults.proxy import open_proxy
from tests.flower_pages import stack
from tests.flower_pages.stack import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

UNHURRIED = 90.0
"""Seconds in which each process has ended on a machine that does much else; what it may take is tested elsewhere."""


WARM = "worker: Warm shutdown (MainProcess)"

BODY = b'{"signature": "nobody\'s"}'
HALF = b"POST /api/payments/webhook HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"
HALF += b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY[:5]
REST = BODY[5:]
"""A request that is half there; whatever it says is committed, and then judged by a worker."""

SLEEPING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"


@contextmanager
def slow_settling(sql: Sql) -> Iterator[None]:
    """Until the block ends a webhook's last state takes three seconds to be written."""
    sql("""CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN PERFORM pg_sleep(3); RETURN new; END $$""")
    try:
        sql("""CREATE TRIGGER slowly BEFORE UPDATE ON webhook_deliveries FOR EACH ROW
               WHEN (new.processed_at IS NOT NULL) EXECUTE FUNCTION slowly()""")
        yield
    finally:
        sql("DROP FUNCTION slowly CASCADE")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    skip_unless_here()
    with built_image(tmp_path_factory.mktemp("image")) as image:
        yield image


@pytest.fixture
def environment(servers: Servers) -> Iterator[dict[str, str]]:
    """What the containers are given: nothing of this machine's own environment. PostgreSQL is reached by TCP there."""
    given = stack.environment(servers)
    folder = parse_qs(urlsplit(servers.web_url).query)["host"][0]
    with open_proxy(Path(folder) / ".s.PGSQL.5432") as proxy:
        yield {
            name: value.replace("@/", f"@127.0.0.1:{proxy.port}/").partition("?host=")[0]
            for name, value in given.items()
            if name not in {"PATH", "HOME", "PYTHONUNBUFFERED"}
        }


def test_the_image_sells_and_ends_cleanly(image: Image, environment: dict[str, str], sql: Sql, tmp_path: Path) -> None:
    def run(name: str, *command: str) -> Container:
        return Container(image, tmp_path, name, command, environment)

    with run("release", "release") as release:
        assert release.process.wait(UNHURRIED) == 0, release.log.read_text()

    base = f"http://127.0.0.1:{environment['PORT']}"
    with ExitStack() as containers:
        processes = ("web", "worker", "housekeeping", "sender", "beat", "flower")
        running = {name: containers.enter_context(run(name, name)) for name in processes}
        web, worker = running["web"], running["worker"]
        health = image.config["Healthcheck"]["Test"]
        assert health[0] == "CMD"
        eventually(lambda: web.execute(*health[1:]).returncode == 0, within=UNHURRIED)
        eventually(lambda: _answers(f"http://127.0.0.1:{environment['FLOWER_PORT']}/healthcheck"), within=UNHURRIED)

        with run("demo", "catalog", "demo") as catalogue:
            assert catalogue.process.wait(UNHURRIED) == 0, catalogue.log.read_text()
        bought = buy(base, environment, CATALOGUE, lambda *_: None)
        assert bought.order_id

        with run("doctor", "doctor") as doctor:
            assert doctor.process.wait(UNHURRIED) in {0, 1}, doctor.log.read_text()
            assert "Traceback" not in doctor.log.read_text()

        for name, container in running.items():
            assert container.process.poll() is None, f"{name} ended: {container.log.read_text()[-2000:]}"
            assert len(container.processes()) >= (1 if name in {"beat", "flower"} else 2)

        # The kernel ends what is left of a container when its first process does, whatever that was busy with: an exit
        # status shows nothing. So each is asked to end in the middle of something that its children do.
        with slow_settling(sql), socket.create_connection(("127.0.0.1", int(environment["PORT"])), timeout=30) as buyer:
            buyer.sendall(HALF)
            settling = _report_again(bought, base, environment, sql)
            eventually(lambda: sql(SLEEPING)[0].count == 1, within=UNHURRIED)
            for container in running.values():
                container.ask_to_end()
            eventually(lambda: WARM in worker.log.read_text(), within=UNHURRIED)
            assert _state(sql, settling) == "received", "the worker had nothing to do any more: this shows nothing"
            assert worker.process.poll() is None
            eventually(lambda: not _answers(f"{base}/livez"), within=UNHURRIED)
            assert web.process.poll() is None
            buyer.sendall(REST)
            answer = buyer.recv(4096).decode()
            statuses = {name: container.process.wait(UNHURRIED) for name, container in running.items()}
        logs = {name: container.log.read_text() for name, container in running.items()}

    assert statuses == dict.fromkeys(running, 0), logs
    assert not [name for name, log in logs.items() if "Traceback" in log or "Read-only file system" in log]

    assert answer.startswith("HTTP/1.1 202 "), answer
    taken = json.loads(answer.rpartition("\r\n\r\n")[2])["delivery_id"]
    assert _state(sql, taken) == "received", "what was answered is committed"
    after = logs["worker"].partition(WARM)[2]
    assert f"delivery_id={settling}" in after, "the worker's child was through with it, after it was asked to end"
    assert _state(sql, settling) == "applied"
    for name in ("worker", "housekeeping", "sender"):
        assert WARM in logs[name], name
    assert re.search(r"Stopping worker-1\n.*Stopped worker-1\n.*shutdown completed", logs["web"], re.S)
    assert "shutting down" in logs["flower"]
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{base}/livez", timeout=5)


def test_the_web_container_is_unhealthy_where_nothing_is_served(
    image: Image, environment: dict[str, str], tmp_path: Path
) -> None:
    health = image.config["Healthcheck"]["Test"][1:]
    command = health[image.config["Entrypoint"] == health[:1] :]
    with Container(image, tmp_path, "unhealthy", command, environment | {"PORT": str(free_port())}) as container:
        assert container.process.wait(UNHURRIED) == 1


def test_nothing_of_the_image_is_writable_or_names_where_it_came_from(image: Image) -> None:
    assert image.user == (10001, 10001)
    assert image.config["StopSignal"] in {"", "SIGTERM"}
    places = set(re.findall(r"\b(?:https?|file)://[^\s/]+", _sources())) | {"https://", "--index-url", "pypi"}
    written = "\n".join(image.history) + json.dumps(image.config)
    assert not [place for place in places if place in written], "a layer says where its packages came from"

    installed = image.root / "opt" / "checkout"
    owned = [path for path in installed.rglob("*") if not path.is_symlink() and path.lstat().st_uid != 0]
    assert not owned, "who breaks into a process could change what it runs"
    loose = [path for path in image.root.rglob("*") if _may_be_written(image, path)]
    inside = {path.relative_to(image.root) for path in loose}
    assert {path.parts[0] for path in inside} <= {"tmp", "var", "run", "dev", "etc"}
    # Where volumes of compose.yaml are mounted; with a root that is read-only they are as closed as the rest.
    assert {path.parts[:2] for path in inside if path.parts[0] == "etc"} == {("etc", "checkout")}
    assert not list((image.root / "var" / "cache" / "apt").rglob("*.deb"))
    assert not list(installed.rglob("pip/__init__.py")), "pip is for installing it alone"


def test_what_is_in_the_image_is_listed_there(image: Image) -> None:
    labels = image.config["Labels"]
    listed = image.root / labels["checkout.sbom.path"].lstrip("/")
    assert hashlib.sha256(listed.read_bytes()).hexdigest() == labels["checkout.sbom.sha256"]
    components = {(each["name"], each["version"]) for each in json.loads(listed.read_bytes())["components"]}
    folder = image.root / "opt" / "checkout" / "lib" / "python3.11" / "site-packages"
    found = {_metadata(each) for each in folder.glob("*.dist-info")} - {("checkout-service", labels[VERSION])}
    assert found == components


VERSION = "org.opencontainers.image.version"


def _report_again(bought: Purchase, base: str, environment: dict[str, str], sql: Sql) -> str:
    """Tell the web of the paid payment once more, by another event; the webhook's id."""
    (payment,) = sql("SELECT provider_ref FROM payments WHERE id = :id", id=bought.payment_id)
    webhook = {"provider_ref": payment.provider_ref, "status": "paid", "raw_data": {"event_id": "evt_again"}}
    answer = httpx.post(f"{base}/api/payments/webhook", json=sign(webhook, environment["MOCK_WEBHOOK_SECRETS"]))
    assert answer.status_code == 202, answer.text
    return str(answer.json()["delivery_id"])


def _state(sql: Sql, delivery: str) -> str:
    return str(sql("SELECT state FROM webhook_deliveries WHERE id = :id", id=delivery)[0].state)


def _metadata(folder: Path) -> tuple[str, str]:
    text = (folder / "METADATA").read_text(encoding="utf-8")
    name, version = (re.search(rf"^{field}: (.+)$", text, re.M) for field in ("Name", "Version"))
    assert name
    assert version
    return re.sub(r"[-_.]+", "-", name[1]).lower(), version[1]


def _sources() -> str:
    """Where apt and pip take packages from on this machine."""
    configured = subprocess.run(["pip", "config", "list"], capture_output=True, text=True, check=False).stdout
    return "\n".join([configured, *(path.read_text() for path in Path("/etc/apt").rglob("*.sources"))])


def _may_be_written(image: Image, path: Path) -> bool:
    """Whether the image's user may write it, by its mode: the root is read-only beside that."""
    status = path.lstat()
    if path.is_symlink():
        return False
    return bool(status.st_mode & 0o002) or status.st_uid == image.user[0] or status.st_gid == image.user[1]


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=60).status_code == 200
    except httpx.TransportError:
        return False
