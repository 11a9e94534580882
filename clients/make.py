"""``make clients``: the document of the API as it is served, and what is generated of it for both clients.

The Python generator reads a plainer document than ours, made here: errors are raised by one function for all
operations, and the version of the API is a header of the client, so an operation documents neither.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from checkout_service.app import create_app
from checkout_service.settings.secret import Secret
from checkout_service.settings.values import WebSettings

CLIENTS: Final = Path(__file__).parent
DOCUMENT: Final = CLIENTS / "openapi.json"
PYTHON: Final = CLIENTS / "python"
TYPESCRIPT: Final = CLIENTS / "typescript"
NODE: Final = CLIENTS.parent / ".node" / "bin" / "node"
"""The node that ``make node`` found or installed."""

GENERATED: Final = ("api", "models")
"""The folders of the Python package that are generated; the modules beside them are written by hand."""

NOT_FOR_SHOPS: Final = frozenset({"Provider webhooks"})
"""Tags of operations that providers call."""

LOCAL_NAME: Final = "{% set module_name = model.class_info.module_name %}"
"""In the generator's template of a model: `from_dict` names what it makes by the class, and `Currency` has a member
`currency`. So what it makes has a name that no member has."""

NOWHERE: Final = "127.0.0.1:1"
"""Nobody is called to say what the routes are."""

Json = dict[str, Any]


def main() -> int:
    """Write the document and everything that is generated of it."""
    DOCUMENT.write_text(served_document(), encoding="utf-8")
    make_python(PYTHON / "checkout_client")
    if not (TYPESCRIPT / "node_modules").is_dir():
        sys.stderr.write("Not made: clients/typescript, which has no node_modules; `make node` installs them.\n")
        return 1
    make_typescript(TYPESCRIPT / "src")
    return 0


def served_document() -> str:
    """The document that ``/api/openapi.json`` serves, with a line for each member."""
    app = create_app(
        WebSettings(
            database_url=Secret(f"postgresql+psycopg://{NOWHERE}/none"),
            redis_url=Secret(f"redis://{NOWHERE}"),
            broker_url=Secret(f"redis://{NOWHERE}"),
            environment="test",
            jwt_secret=Secret("of no use, as nobody is answered"),
        )
    )
    return json.dumps(json.loads(app.extensions["openapi"]), indent=1, ensure_ascii=False) + "\n"


def make_python(package: Path) -> None:
    """Write the generated folders of the Python client into ``package``. Raises CalledProcessError."""
    with tempfile.TemporaryDirectory(prefix="checkout-client-") as name:
        made, source, templates = (Path(name) / part for part in ("made", "openapi.json", "templates"))
        source.write_text(json.dumps(for_python(_document())), encoding="utf-8")
        shutil.copytree(PYTHON / "templates", templates)
        (templates / "model.py.jinja").write_text(_model_template(), encoding="utf-8")
        _run(
            *("-m", "openapi_python_client", "generate", "--path", str(source), "--output-path", str(made)),
            *("--meta", "none", "--config", str(PYTHON / "generator.yaml")),
            *("--custom-template-path", str(templates), "--fail-on-warning"),
        )
        folders = [str(made / folder) for folder in GENERATED]
        # By no settings of ours: what is generated is the same in each checkout.
        chosen = ("--isolated", "--no-cache", "--quiet", "--target-version", "py311", "--line-length", "120")
        _run("-m", "ruff", "check", *chosen, "--fix-only", "--select", "F401,I,RUF100,UP", *folders)
        _run("-m", "ruff", "format", *chosen, *folders)
        package.mkdir(exist_ok=True)
        for folder in GENERATED:
            shutil.rmtree(package / folder, ignore_errors=True)
            shutil.copytree(made / folder, package / folder)


def make_typescript(folder: Path) -> None:
    """Write the generated modules of the TypeScript client. Takes ``node_modules`` and node.

    Raises CalledProcessError, and FileNotFoundError where there is no node.
    """
    program = TYPESCRIPT / "node_modules" / ".bin" / "openapi-typescript"
    # A member with a default may be left out of a request; answers say themselves what is always there.
    options = ("--default-non-nullable", "false", "--root-types", "--root-types-no-schema-prefix")
    # Named, since the program would take the first node of PATH.
    node = str(NODE) if os.access(NODE, os.X_OK) else "node"
    _call(node, str(program), str(DOCUMENT), "--output", str(folder / "schema.ts"), *options)
    document = _document()
    version = document["info"]["version"]
    (folder / "version.ts").write_text(f'export const API_VERSION = "{version}";\n', encoding="utf-8")
    paths = "".join(f'  "{path}",\n' for path, item in document["paths"].items() if _takes_key(item.get("post", {})))
    keyed = f"export const KEYED: ReadonlySet<string> = new Set([\n{paths}]);\n"
    about = "/** Paths where POST takes an Idempotency-Key. */\n"
    (folder / "keyed.ts").write_text(about + keyed, encoding="utf-8")


def for_python(document: Json) -> Json:
    """The document as the Python generator takes it: successes alone, and no parameter that the client sets."""
    document["paths"] = {
        path: {name: _plain(part) if name != "parameters" else _own(part) for name, part in item.items()}
        for path, item in document["paths"].items()
        if not any(NOT_FOR_SHOPS & {*part["tags"]} for part in item.values() if "tags" in part)
    }
    schemas = document["components"]["schemas"]
    # Extra members of a problem are in the one class's `additional_properties`.
    unused = {name for name in schemas if name.endswith("Problem") and name != "Problem"} | {"PaginationMetadata"}
    document["components"]["schemas"] = {name: _spelt(each) for name, each in schemas.items() if name not in unused}
    return document


def _document() -> Json:
    found: Json = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    return found


def _takes_key(operation: Json) -> bool:
    return any(each.get("name") == "Idempotency-Key" for each in operation.get("parameters", ()))


def _plain(operation: Json) -> Json:
    """Of its answers the bodies of success: 304 is an answer without one, and every error a problem."""
    answers = {status: each for status, each in operation["responses"].items() if "200" <= status < "300"}
    return operation | {"responses": answers}


def _own(parameters: list[Json]) -> list[Json]:
    return [each for each in parameters if each.get("$ref") != "#/components/parameters/API-Version"]


def _spelt(schema: Any) -> Any:
    """With a word or null as two schemas: the generator would make three types of it, two of them the same."""
    if isinstance(schema, list):
        return [_spelt(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    spelt = {name: _spelt(each) for name, each in schema.items()}
    words = spelt.get("enum")
    if isinstance(words, list) and None in words:
        both = [{"type": "string", "enum": [each for each in words if each is not None]}, {"type": "null"}]
        spelt = {name: each for name, each in spelt.items() if name not in {"type", "enum"}} | {"anyOf": both}
    return spelt


def _model_template() -> str:
    theirs = files("openapi_python_client").joinpath("templates/model.py.jinja").read_text(encoding="utf-8")
    if theirs.count(LOCAL_NAME) != 1:
        raise ValueError("the generator's template of a model is another: see LOCAL_NAME")
    return theirs.replace(LOCAL_NAME, '{% set module_name = "made_of_it" %}')


def _run(*arguments: str) -> None:
    _call(sys.executable, *arguments)


def _call(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 (commands of this module alone)


if __name__ == "__main__":
    sys.exit(main())
