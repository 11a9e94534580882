"""Schemathesis against a served API: by its document, with every check, as each kind of caller.

It has a fixed seed, so each run tries the same. Ids are the database's and differ: what is tried with them does not.
It runs in a process of its own, ``python -m tests.api.fuzzing``, whose hooks, warnings and sockets are nobody else's.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson
import schemathesis
from schemathesis.core.failures import Failure
from schemathesis.engine import events, from_schema

from checkout_service.api.document_details import METHODS
from tests.api.beyond_schemas import BEYOND

ROOT: Final = Path(__file__).parents[2]  # conftest has it too, and takes a second to load

PHASES: Final = ("examples", "coverage", "fuzzing", "stateful")

ORDERED: Final = PHASES[:3]
"""These take the operations in the document's order; the last one goes by links."""

SEED: Final = 20_261_129

LONGEST_ANSWER: Final = 60.0
"""Seconds: a slow machine is no fault of the API."""

LONGEST_POLL: Final = 30

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Callers:
    """Where the API is, and what each of its document's security schemes is sent."""

    base_url: str
    customer: str
    staff: str
    guest: str

    def headers(self, scheme: str) -> dict[str, str]:
        """What a request of such a caller carries."""
        if scheme == "guest":
            return {"Cart-Token": self.guest}
        return {"Authorization": f"Bearer {getattr(self, scheme)}"}

    def schemes(self, names: tuple[str, ...]) -> Json:
        """These of them, as Schemathesis is told of it."""
        sent = {
            "customer": {"bearer": self.customer},
            "staff": {"bearer": self.staff},
            "guest": {"api_key": self.guest},
        }
        return {name: sent[name] for name in names}


@dataclass
class Tried:
    """What a run came to."""

    failures: list[str] = field(default_factory=list)
    answers: dict[str, dict[str, int]] = field(default_factory=dict)
    """How often each operationId was answered with each status."""
    beyond: list[int] = field(default_factory=list)
    """Which entries of BEYOND a refusal was of."""

    @property
    def done(self) -> set[str]:
        """The operations that did what they are for at least once."""
        return {name for name, statuses in self.answers.items() if any(status[0] == "2" for status in statuses)}


def opened_by(document: Json, *schemes: str, all_of: tuple[str, ...] = ()) -> Json:
    """The document as one caller sees it, who sends the first of these schemes that opens an operation.

    Operations that none of them opens are left out, and so is what leads to these. ``all_of``: only operations that
    each of these opens.
    """
    seen = deepcopy(document)
    for path, item in list(seen["paths"].items()):
        for method in [method for method in METHODS if method in item]:
            security = item[method].get("security", seen["security"])
            ways = [way for name in schemes for way in security if name in way]
            opens_all = set(all_of) <= {name for way in security for name in way}
            if (security and not ways) or not opens_all:
                del item[method]
            elif security:
                item[method]["security"] = ways[:1]
        if not any(method in item for method in METHODS):
            del seen["paths"][path]
    operations = [item[method] for item in seen["paths"].values() for method in METHODS if method in item]
    known = {operation["operationId"] for operation in operations}
    for operation in operations:
        for answer in operation["responses"].values():
            if "links" in answer:
                answer["links"] = {name: link for name, link in answer["links"].items() if name in known}
    return seen


def with_few_words(document: Json, schemas: tuple[str, ...], most: int = 2) -> Json:
    """The document with the first few words of parameters and of members of these schemas, and their examples.

    Each of them is tried in the coverage phase: countries, currencies and types of events are half of all requests.
    """
    described = document["components"]["schemas"]
    shown = [member for name in schemas for member in described[name]["properties"].values()]
    for item in document["paths"].values():
        for method in [method for method in METHODS if method in item]:
            shown += [each for each in item[method].get("parameters", ()) if "schema" in each]
    for each in shown:
        for schema in (each, each.get("schema", {}), each.get("items", {})):
            if len(schema.get("enum", ())) > most:
                examples = each["example"] if isinstance(each.get("example"), list) else [each.get("example")]
                schema["enum"] = sorted({*schema["enum"][:most], *examples} - {None})
    return document


def attempt(
    document: Json,
    callers: Callers,
    *schemes: str,
    examples: int,
    phases: tuple[str, ...] = PHASES,
    mode: str = "all",
    **settings: Any,
) -> Tried:
    """Try all operations of the document, each phase with so many examples an operation.

    ``mode`` is ``positive`` for requests that are valid by the document, and ``all`` for others too.
    """
    config = {
        "seed": SEED,
        "base-url": callers.base_url,
        "request-timeout": LONGEST_ANSWER,
        "continue-on-failure": True,
        # What a NUL does, test_every_input.py tries: here few texts would be without one.
        "generation": {
            "deterministic": True,
            "max-examples": examples,
            "mode": mode,
            "database": "none",
            "allow-x00": False,
            "no-shrink": True,
        },
        "phases": {
            phase: {"enabled": phase in phases, **({"operation-ordering": "none"} if phase in ORDERED else {})}
            for phase in PHASES
        },
        "auth": {"openapi": callers.schemes(schemes)},
        **settings,
    }
    done = subprocess.run(
        [sys.executable, "-m", __name__],
        cwd=ROOT,
        input=orjson.dumps({"document": document, "config": config}),
        capture_output=True,
        check=False,
    )
    if done.returncode or done.stderr:
        return Tried(failures=[f"it ended with {done.returncode}: {done.stderr.decode(errors='replace')}"])
    return Tried(**orjson.loads(done.stdout))


def main() -> None:
    """Read document and configuration from standard input, and write what came of it to standard output."""
    given = orjson.loads(sys.stdin.buffer.read())
    schema = schemathesis.openapi.from_dict(given["document"], config=schemathesis.Config.from_dict(given["config"]))
    schemathesis.hook(before_call)
    schemathesis.hook(filter_failure)
    for event in from_schema(schema).execute():
        _note(event)
    _tried.answers = {name: dict(statuses) for name, statuses in _answers.items()}
    _tried.beyond = sorted(_beyond)
    sys.stdout.buffer.write(orjson.dumps(asdict(_tried)))


_tried: Final = Tried()
_answers: Final[dict[str, Counter[str]]] = {}
_beyond: Final[set[int]] = set()


def before_call(context: schemathesis.HookContext, case: schemathesis.Case, kwargs: Json) -> None:
    """Have a long poll end at once: what it waits for is not what is tried here."""
    wait = str(case.query.get("wait", "")) if isinstance(case.query, dict) else ""
    if wait.isdigit() and 0 < int(wait) <= LONGEST_POLL:
        case.query["wait"] = "0"


def filter_failure(
    context: schemathesis.HookContext, failure: Failure, case: schemathesis.Case, response: schemathesis.Response
) -> bool:
    """Whether it is one: a refusal is none whose faults are all beyond what schemas can say."""
    if type(failure).__name__ != "RejectedPositiveData":
        return True
    problem = orjson.loads(response.content)
    slug = problem["type"].rpartition("/")[2]
    faults = [(fault["pointer"], fault["detail"]) for fault in problem.get("errors", ())] or [("", problem["detail"])]
    name = _id_of(case)
    for fault in faults:
        entry = next((number for number, each in enumerate(BEYOND) if each.has(name, slug, *fault)), None)
        if entry is None:
            _tried.failures.append(f"{name}: {slug}: {fault}")
            return True
        _beyond.add(entry)
    return False


def _note(event: events.EngineEvent) -> None:
    match event:
        case events.ScenarioFinished(recorder=recorder):
            for case_id, interaction in recorder.interactions.items():
                case = recorder.cases[case_id].value
                if interaction.response is not None and case.method.lower() == case.operation.method.lower():
                    statuses = _answers.setdefault(_id_of(case), Counter())
                    statuses[str(interaction.response.status_code)] += 1
            for case_id, checks in recorder.checks.items():
                for check in checks:
                    if (found := check.failure_info) is not None:
                        label = recorder.cases[case_id].value.operation.label
                        words = f"{label}: {check.name}: {found.failure.title}: {found.failure.message}"
                        _tried.failures.append(f"{words}\n{found.code_sample}")
        case events.NonFatalError():
            _tried.failures.append(f"{event.label}: {event.info}")
        case events.FatalError():
            raise event.exception
        case _:
            pass


def _id_of(case: schemathesis.Case) -> str:
    name: str = case.operation.definition.raw["operationId"]
    return name


if __name__ == "__main__":
    main()
