"""A house law is a test, or it is a wish."""

from __future__ import annotations

import ast
import re

from tests.architecture.sources import TIERS, calls, dotted, name, paths, texts, tree

LONGEST_FILE = 400
"""Past so many lines a file asks whether it has two subjects."""

READS_THE_ENVIRONMENT = {
    "checkout_service/settings/reader.py": "the settings' reader",
    "worker/celery_settings.py": "Celery's settings",
    "checkout_service/database/setup_cli.py": "an entry point: its address is no process's",
    "checkout_service/doctor/database_cli.py": "an entry point, which takes settings of a file as well",
    "checkout_service/settings/catalog_source.py": "whether there is a source, as tasks are declared",
    "checkout_service/settings/settlements.py": "names of reports that nobody has, and if the command is set up",
    "checkout_service/telemetry/tracing_start.py": "takes out what is blank, which the SDK would misread",
    "checkout_service/settings/tracing.py": "reads OpenTelemetry's own variables, before anything else is loaded",
    "checkout_service/server/granian_server.py": "the web process's entry",
    "checkout_service/command_line/serving.py": "an entry point, which hands it on to what serves",
    "checkout_service/command_line/entry.py": "an entry point, which adds what an environment file sets",
    "checkout_service/command_line/settings_cli.py": "an entry point: what is set need not be made",
    "checkout_service/command_line/commands.py": "an entry point, which says so to the application",
    "checkout_service/wsgi.py": "an entry point, which asks whether it is run by the command line",
    "checkout_service/local/__main__.py": "an entry point",
    "worker/app.py": "an entry point, which says where Flower finds its settings",
    "worker/command_line.py": "an entry point, which leaves to celery what is set for celery",
    "checkout_service/telemetry/metrics.py": "asks whether prometheus-client counts into files",
    "checkout_service/telemetry/metrics_folder.py": "names the folder of those files, for entry points",
}

MAY_COMMIT = {"checkout_service/database/engine.py", "checkout_service/database/connections.py", "migrations/env.py"}

STARTS_THREADS = {
    "checkout_service/threads.py": "the one engine of background threads",
    "checkout_service/flower_pages/queues.py": "looks at a broker beside Flower's loop, once at a time, with a bound",
    "checkout_service/providers/downloads.py": "hangs up on a report that takes longer than it may",
    "checkout_service/telemetry/otlp_session.py": "hangs up on a collector that takes longer than it may",
    "checkout_service/telemetry/otlp.py": "exports the last spans for a moment while its process ends",
    "worker/events/posting.py": "looks names up beside its event loop, with a bound: the system's look-up blocks",
    "worker/events/sender.py": "runs one statement at a time beside its event loop",
    "worker/payments/lanes.py": "asks several providers at once, with a bound on the calls to each",
    "checkout_service/health/readiness.py": "asks its questions side by side, with a bound on the time of all of them",
    "checkout_service/server/readers.py": "a thread for each large answer, which ends with it, within a bound",
    "checkout_service/server/slot_threads.py": "a thread for each request that may wait, and says where there is none",
}

ABROAD = re.compile(
    r"^(httpx|requests|socket|redis|smtplib|urllib)\b"
    r"|\b(look_up|cancel|refund|enqueue|send_task|apply_async|delay|notify|wake_worker|urlopen)$"
    r"|^(cache|notifier|background_publisher|task_queue)\b"
    r"|^(provider|providers)\."
)
"""Calls that leave the process for anything but the database."""

# An assignment follows SET or a comma; a comparison, as in a CASE, follows another word.
MOVES_PAYMENT = re.compile(
    r"\bUPDATE\s+payments\b(?:(?!\b(?:FROM|WHERE|RETURNING)\b).)*?(?:\bSET|,)\s*status\s*=", re.S | re.I
)
INSERTS_STATUS = re.compile(r"\bINSERT\s+INTO\s+payments\s*\([^)]*\bstatus\b", re.S | re.I)

MOVES_REFUND = re.compile(MOVES_PAYMENT.pattern.replace("payments", "refunds"), MOVES_PAYMENT.flags)
INSERTS_REFUND = re.compile(r"\bINSERT\s+INTO\s+refunds\s*\([^)]*\bstatus\b", re.I)


def test_every_module_opens_with_a_docstring() -> None:
    silent = [name(path) for path in paths(*TIERS, ".", "migrations", "tests") if not ast.get_docstring(tree(path))]
    assert not silent


def test_every_room_announces_itself_in_a_few_lines() -> None:
    for room in sorted({path.parent for path in paths("checkout_service/") if path.parent.name != "checkout_service"}):
        announcement = ast.get_docstring(tree(room / "__init__.py")) or ""
        for word in ("Hold", "Promise", "Never"):
            assert word in announcement, f"{name(room)} does not say what it {word.lower()}s"
        body = tree(room / "__init__.py").body
        assert len(body) == 1, f"{name(room)}/__init__.py holds more than its announcement"


def test_no_file_is_asking_to_be_two() -> None:
    lengths = {
        name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in paths(*TIERS, ".", "migrations")
    }

    assert {path: length for path, length in lengths.items() if length > LONGEST_FILE} == {}


def test_only_the_database_module_commits_and_rolls_back() -> None:
    found = {
        name(path)
        for path in paths(*TIERS, ".", "migrations")
        for call in calls(tree(path))
        if call.rpartition(".")[2] in {"commit", "rollback"}
    }
    assert found <= MAY_COMMIT


def test_nobody_but_the_database_writes_a_payments_status() -> None:
    """payments_fold computes it (migrations/entries/fold.sql)."""
    found = set()
    for path in paths(*TIERS):
        for text in texts(tree(path)):
            if MOVES_PAYMENT.search(text) or INSERTS_STATUS.search(text):
                found.add(name(path))
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call) and dotted(node.func).rpartition(".")[2] in {"update", "insert"}:
                about = {dotted(argument) for argument in node.args}
                if about & {"Payment", "Payment.__table__"}:
                    found.add(name(path))

    assert found == set()


def test_only_the_transitions_write_a_refunds_status() -> None:
    """The web tier inserts one without saying a status: PostgreSQL would refuse it one."""
    found = {
        name(path)
        for path in paths(*TIERS)
        for text in texts(tree(path))
        if MOVES_REFUND.search(text) or INSERTS_REFUND.search(text)
    }
    built = {
        name(path)
        for path in paths(*TIERS)
        for call in ast.walk(tree(path))
        if isinstance(call, ast.Call)
        and dotted(call.func).rpartition(".")[2] in {"update", "insert"}
        and "Refund" in {dotted(argument) for argument in call.args}
    }

    assert found == {"worker/transitions/statements.py"}
    assert built == set()


def test_only_the_engine_of_background_threads_starts_threads() -> None:
    """A thread that is started by hand has its own idea of a start that fails and of an error that nobody foresaw."""
    found = {
        name(path)
        for path in paths(*TIERS, ".")
        for call in calls(tree(path))
        if call.rpartition(".")[2] in {"Thread", "Timer", "ThreadPoolExecutor", "start_new_thread", "to_thread"}
    }
    assert found == set(STARTS_THREADS)


def test_only_settings_and_entry_points_read_the_environment() -> None:
    found = {
        name(path)
        for path in paths(*TIERS, ".")
        for node in ast.walk(tree(path))
        if (isinstance(node, ast.Attribute) and dotted(node) in {"os.environ", "os.getenv", "os.environb"})
        or (isinstance(node, ast.ImportFrom) and node.module in {"os", "environs"} and _takes_environment(node))
    }
    assert found == set(READS_THE_ENVIRONMENT)


def test_no_call_leaves_the_process_within_a_transaction() -> None:
    found = [
        f"{name(path)}:{block.lineno} {call}"
        for path in paths(*TIERS)
        for block in ast.walk(tree(path))
        if isinstance(block, ast.With)
        and any(dotted(item.context_expr).rpartition(".")[2] == "transaction" for item in block.items)
        for statement in block.body
        for call in calls(statement)
        if ABROAD.search(call)
    ]
    assert not found


def test_no_sleep_within_a_transaction() -> None:
    for path in paths(*TIERS):
        for block in ast.walk(tree(path)):
            if isinstance(block, ast.With) and any("transaction" in dotted(i.context_expr) for i in block.items):
                assert "sleep" not in {call.rpartition(".")[2] for call in calls(block)}, name(path)


def _takes_environment(node: ast.ImportFrom) -> bool:
    return node.module == "environs" or any(alias.name in {"environ", "getenv"} for alias in node.names)
