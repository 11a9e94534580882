"""What is in the wheel, and what building it leaves."""

from __future__ import annotations

import re
import subprocess
import tomllib
from email import message_from_string
from pathlib import Path
from zipfile import ZipFile

from tests.conftest import ROOT
from tests.packaging.built import source_files

TREES = ("checkout_service/", "worker/", "migrations/")


def _listed(wheel: Path) -> set[str]:
    with ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_every_file_of_the_packages_is_in_the_wheel_and_nothing_else(wheel: Path) -> None:
    own = [path for path in source_files() if path.startswith(TREES)]
    expected = {re.sub(r"^migrations/", "checkout_service/migrations/", path) for path in own}
    assert "checkout_service/migrations/versions/0001_baseline.py" in expected

    found = {path for path in _listed(wheel) if ".dist-info/" not in path}

    assert expected - found == set(), "name the package, or its data, under [tool.setuptools] in pyproject.toml"
    assert found - expected == set()


def test_its_only_top_level_names_are_two(wheel: Path) -> None:
    assert {path.partition("/")[0] for path in _listed(wheel) if ".dist-info/" not in path} == {
        "checkout_service",
        "worker",
    }


def test_every_package_is_named_once_and_is_there() -> None:
    named = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = {Path(path).parent for path in source_files() if path.startswith(TREES) and path.endswith(".py")}
    expected = {".".join(folder.parts) for folder in folders}

    mapped = {re.sub(r"^migrations", "checkout_service.migrations", package) for package in expected}
    assert set(named) == mapped
    assert len(named) == len(set(named))


def test_it_has_the_script_and_each_extra(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        (metadata,) = [name for name in archive.namelist() if name.endswith("METADATA")]
        about = message_from_string(archive.read(metadata).decode())
        scripts = archive.read(metadata.replace("METADATA", "entry_points.txt")).decode()

    assert set(about.get_all("Provides-Extra") or []) == {"local", "paypal", "stripe", "traces"}
    assert "checkout = checkout_service.command_line.entry:main" in scripts


def test_building_leaves_nothing_that_git_would_add(wheel: Path, tmp_path: Path) -> None:
    source = wheel.parent / "source"
    assert (source / "build").is_dir(), "else this test shows nothing"
    left = {path.name for path in source.iterdir()} - {path.partition("/")[0] for path in source_files()}

    (tmp_path / ".gitignore").write_text((ROOT / ".gitignore").read_text())
    for command in (["init", "--quiet"], ["add", ".gitignore"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    for name in left:
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
    (tmp_path / wheel.name).touch()

    command = ["git", "status", "--porcelain", "--untracked-files=all"]
    status = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert status.stdout.splitlines() == ["A  .gitignore"]


def test_nobody_is_sent_to_an_index_for_this_package() -> None:
    """There the name may be anybody's."""
    by_name = re.compile(
        r"(?:pip|uv|pipx|poetry)\s+(?:\w+\s+)*(?:install|add)\b[^\n]*?[\s'\"]checkout[-_.]service(?![\w./-])"
    )
    assert by_name.search("pip install 'checkout-service[stripe]'")
    assert by_name.search("uv pip install --upgrade checkout_service")
    assert not by_name.search("pip install './checkout_service-0.1.0-py3-none-any.whl[stripe]'")

    readable = [
        path for path in source_files() if Path(path).suffix in {".py", ".md", ".html", ".toml", ".yaml", ".sh", ".ts"}
    ]
    texts = {path: (ROOT / path).read_text(encoding="utf-8", errors="replace") for path in readable}
    found = {path for path, text in texts.items() if by_name.search(text)}
    assert found == {"tests/packaging/test_wheel.py"}
    # A message may be put together of an adapter's word and a sentence.
    named = re.compile(r"(?:install|extra)=[\"']checkout[-_]service")
    assert {path for path, text in texts.items() if named.search(text)} == set()
