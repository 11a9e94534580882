"""A commit is laid out as it is in git, and what cannot be built says what failed."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from benchmarks import builds
from benchmarks.builds import BuildError, name_of_this, of_commit


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose first commit has an empty lock, and whose second one pins what no index has."""
    root = tmp_path / "repository"
    root.mkdir()
    monkeypatch.setattr(builds, "ROOT", root)
    monkeypatch.setattr(builds, "KEPT", root / ".bench")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    git(root, "init", "--quiet")
    for lock in ("", f"nothing-that-is-anywhere==1.0 --hash=sha256:{'0' * 64}\n"):
        (root / "requirements.lock").write_text(lock)
        (root / "kind.txt").write_text(lock or "first")
        (root / "benchmarks").mkdir(exist_ok=True)
        for needed in ("stand.py", "seeds.py"):
            (root / "benchmarks" / needed).touch()
        git(root, "add", ".")
        git(root, "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "--quiet", "-m", "a commit")
    return root


def git(root: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=root, check=True)


def test_a_commit_is_laid_out_and_gone_at_the_end(repository: Path) -> None:
    (repository / "requirements.lock").write_text("")  # the lock of both is this one: so is their environment

    with of_commit("HEAD~1") as build:
        assert (build.tree / "kind.txt").read_text() == "first"
        assert build.python == Path(sys.executable)
        assert build.environment()["PYTHONPATH"] == str(build.tree)
        assert build.environment()["PATH"].startswith(str(build.python.parent))
    assert not build.tree.exists()
    assert not (repository / ".bench").exists()


def test_a_commit_that_git_does_not_know_is_named(repository: Path) -> None:
    with pytest.raises(BuildError, match="git does not know the commit 0123abc"), of_commit("0123abc"):
        pass


def test_what_pip_could_not_find_is_named_and_not_taken_for_built(repository: Path) -> None:
    (repository / "requirements.lock").write_text("")

    for _ in range(2):
        reason = r"(?s)environment of HEAD .*nothing-that-is-anywhere.*PIP_FIND_LINKS"
        with pytest.raises(BuildError, match=reason), of_commit("HEAD"):
            pass


@pytest.mark.parametrize("commit", ["--output=stolen", "-h", "", "HEAD..HEAD~1", "HEAD:kind.txt"])
def test_what_is_no_commit_is_no_option_either(repository: Path, commit: str) -> None:
    with pytest.raises(BuildError, match="git does not know the commit"), of_commit(commit):
        pass
    assert not (repository / "stolen").exists()


@pytest.mark.parametrize("gone", ["requirements.lock", "benchmarks/stand.py"])
def test_a_commit_of_before_there_were_figures_says_what_it_lacks(repository: Path, gone: str) -> None:
    git(repository, "rm", "--quiet", gone)
    git(repository, "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "--quiet", "-m", "gone")

    with pytest.raises(BuildError, match=f"HEAD has no {gone}"), of_commit("HEAD"):
        pass


def test_where_git_is_not_there_the_error_names_it(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(repository))

    with pytest.raises(BuildError, match="git cannot be run"), of_commit("HEAD"):
        pass
    assert name_of_this() == "this tree, of no known commit"


def test_what_is_not_committed_is_named_with_what_is_measured(repository: Path) -> None:
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=repository, capture_output=True, text=True, check=True
    ).stdout.strip()
    assert name_of_this() == commit

    (repository / "kind.txt").write_text("another")
    (repository / "new.txt").touch()

    assert name_of_this() == f"{commit} and 2 files that are not committed"


def test_of_two_at_once_one_builds_the_environment_and_one_that_is_broken_is_built_anew(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lock pins nothing, so that nothing is fetched."""
    (repository / "requirements.lock").write_text("# another one\n")
    built: list[list[str]] = []

    def run(command: list[str]) -> subprocess.CompletedProcess[str]:
        if command[0] == "git":
            return subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
        built.append(command[1:3])
        if command[2] == "venv":
            python = Path(command[-1]) / "bin" / "python"
            python.parent.mkdir(parents=True, exist_ok=True)
            python.unlink(missing_ok=True)
            python.symlink_to(sys.executable)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(builds, "_run", run)

    def python_of(commit: str) -> Path:
        with of_commit(commit) as build:
            return build.python

    with ThreadPoolExecutor(2) as both:
        first, second = both.map(python_of, ["HEAD~1", "HEAD~1"])
    assert first == second
    assert built == [["-m", "venv"], ["-m", "pip"]]

    first.unlink()
    first.symlink_to(repository / "gone")
    assert python_of("HEAD~1") == first
    assert built == 2 * [["-m", "venv"], ["-m", "pip"]]
