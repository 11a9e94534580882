"""``checkout settings``: what can be made is made once, and each file holds what its process may."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from checkout_service.command_line.settings_files import (
    FILES,
    MADE,
    SettingsFilesError,
    merged,
    missing_settings,
    split,
    write_files,
)
from checkout_service.providers.registry import account_forms
from checkout_service.settings.environment_file import is_accepted, read_environment_file
from checkout_service.settings.secret_holders import FILES_OF_PROCESS, files_with, is_secret, may_hold
from checkout_service.settings.values import WebSettings
from tests.conftest import ROOT


def checkout(*arguments: str, given: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "checkout_service.command_line", *arguments],
        cwd=ROOT,
        env={"PATH": os.defpath, **(given or {})},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_what_is_made_can_be_used_and_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "checkout.env"
    first = checkout("settings", "init", str(file))
    assert (first.returncode, first.stderr) == (0, "")
    before = file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600
    made, warning = read_environment_file(str(file))
    assert warning is None
    assert {*MADE, "JWT_SECRET", "MOCK_WEBHOOK_SECRETS"} == made.keys()
    assert not [value for value in made.values() if value in first.stdout]

    again = checkout("settings", "init", str(file))
    assert (again.returncode, again.stdout) == (0, "settings init: nothing, all was there\n")
    assert file.read_bytes() == before

    # The strictest reader of them all.
    for name in os.environ.keys() & made.keys():
        monkeypatch.delenv(name)
    production = {"ENVIRONMENT": "production", "DATABASE_URL": "postgresql://checkout_web@db/checkout"}
    production |= {"REDIS_URL": "redis://cache:6379/0", "PAYMENT_PROVIDERS": ""}
    for name, value in (made | production).items():
        monkeypatch.setenv(name, value)
    assert WebSettings.from_environment(account_forms()).production


@pytest.mark.parametrize(
    ("given", "left_out"),
    [
        ({"JWT_JWKS_URL": "https://identity.example/keys"}, "JWT_SECRET"),
        ({"PAYMENT_PROVIDERS": "stripe"}, "MOCK_WEBHOOK_SECRETS"),
        ({"ENVIRONMENT": "production"}, "MOCK_WEBHOOK_SECRETS"),
        ({"PAGES_SECRET": "of the shop"}, "PAGES_SECRET"),
    ],
)
def test_what_is_not_needed_is_not_made(given: dict[str, str], left_out: str) -> None:
    assert left_out not in missing_settings(given)
    assert left_out in missing_settings({})


def test_two_at_once_make_one_set(tmp_path: Path) -> None:
    file = tmp_path / "checkout.env"
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: checkout("settings", "init", str(file)), range(4)))
    assert [each.returncode for each in done] == [0] * 4
    assert sum("made" in each.stdout for each in done) == 1
    found, _ = read_environment_file(str(file))
    assert found.keys() >= MADE.keys()


def test_each_file_holds_what_its_processes_may(tmp_path: Path) -> None:
    settings = {name: "value" for name, _ in _known()} | {"DEFAULT_CURRENCY": "EUR", "ACME_API_KEY": "of-a-provider"}
    changed = write_files(tmp_path, settings)
    found = {path.stem: read_environment_file(str(path))[0] for path in tmp_path.glob("*.env")}
    assert {path.stem for path in changed} == found.keys() == set(FILES)
    assert {path.stat().st_mode & 0o777 for path in changed} == {0o600}
    for process, files in FILES_OF_PROCESS.items():
        read = {name for file in ("settings", *files) for name in found[file]}
        assert read == {name for name in settings if may_hold(process, name)}, process
    assert write_files(tmp_path, settings) == [], "what would not change is left alone"
    del settings["ACME_API_KEY"]
    assert {path.stem for path in write_files(tmp_path, settings)} == {"web", "worker"}
    assert not [path for path in tmp_path.iterdir() if path.suffix != ".env"]


def test_of_several_files_the_later_one_counts_each_read_by_itself(tmp_path: Path) -> None:
    made, shop, folder = tmp_path / "made.env", tmp_path / "shop.env", tmp_path / "folder"
    folder.mkdir()
    made.write_text("JWT_SECRET=of-a-trial\nCONSOLE_BASIC_AUTH=ops:made\nDEFAULT_CURRENCY=USD")  # no final newline
    shop.write_text("CONSOLE_BASIC_AUTH=ops:chosen\nJWT_JWKS_URL=https://identity.example/keys")
    done = checkout("settings", "split", str(made), str(shop), str(folder))
    assert done.returncode == 0, done.stderr
    web, settings = (read_environment_file(str(folder / f"{name}.env"))[0] for name in ("web", "settings"))
    assert web == {"CONSOLE_BASIC_AUTH": "ops:chosen"}, "a secret of a trial ends with an identity provider"
    assert settings == {"DEFAULT_CURRENCY": "USD", "JWT_JWKS_URL": "https://identity.example/keys"}

    # The other way about, and both in one file, which no process starts with.
    assert merged([settings, {"JWT_SECRET": "s"}]) == {"DEFAULT_CURRENCY": "USD", "JWT_SECRET": "s"}
    assert merged([{"JWT_SECRET": "s", "JWT_JWKS_URL": "u"}]) == {"JWT_SECRET": "s", "JWT_JWKS_URL": "u"}
    assert merged([{"JWT_SECRET": "s"}, {"JWT_JWKS_URL": ""}])["JWT_SECRET"] == "s"


def test_an_empty_variable_does_not_have_a_value_of_the_file_made_anew(tmp_path: Path) -> None:
    file = tmp_path / "checkout.env"
    file.write_text("PAGES_SECRET=kept\n")
    assert checkout("settings", "init", str(file), given={"PAGES_SECRET": ""}).returncode == 0
    assert read_environment_file(str(file))[0]["PAGES_SECRET"] == "kept"


def _known() -> list[tuple[str, tuple[str, ...]]]:
    names = ["REDIS_URL", "DATABASE_URL", "WORKER_DATABASE_URL", "MIGRATION_DATABASE_URL", "FLOWER_BASIC_AUTH"]
    names += ["JWT_SECRET", "PAGES_SECRET", "METRICS_TOKEN", "STRIPE_WEBHOOK_SECRETS", "SETTLEMENTS_DATABASE_URL"]
    return [(name, files_with(name)) for name in names]


def test_a_secret_that_nobody_reads_is_refused_by_its_name(tmp_path: Path) -> None:
    assert is_secret("OLD_DSN")
    with pytest.raises(SettingsFilesError, match="OLD_DSN"):
        split({"OLD_DSN": "https://user:hidden@errors.example/1"})
    file = tmp_path / "all.env"
    file.write_text("OLD_DSN=hidden\n")
    done = checkout("settings", "split", str(file), str(tmp_path))
    assert done.returncode == 1
    assert "hidden" not in done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == [file], "nothing is half done"


def test_a_file_that_readers_read_otherwise_is_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "checkout.env"
    file.write_text('DEFAULT_CURRENCY="EUR"\n')
    for arguments in (("init", str(file)), ("split", str(file), str(tmp_path))):
        done = checkout("settings", *arguments)
        assert done.returncode == 1
        assert "line 1" in done.stderr
    assert file.read_text() == 'DEFAULT_CURRENCY="EUR"\n'
    assert list(tmp_path.iterdir()) == [file]


def test_owner_and_group_of_a_file_that_is_there_stay(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    write_files(tmp_path, {"DEFAULT_CURRENCY": "EUR"})
    path = tmp_path / "settings.env"
    os.chown(path, 12345, 23456)
    path.chmod(0o640)
    write_files(tmp_path, {"DEFAULT_CURRENCY": "USD"})
    status = path.stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (12345, 23456, 0o640)


def test_what_is_made_needs_no_quotes() -> None:
    for _ in range(50):
        assert all(is_accepted(name, value) for name, value in missing_settings({}).items())
