"""A commit is laid out as it is in git, and what cannot be built says what failed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import builds
from benchmarks.builds import BuildError, of_commit


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
