"""Where one-machine mode keeps things."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path

from checkout_service.local.data_folder import environment_for, take_data_folder


def test_a_place_of_an_older_version_gets_the_secrets_that_it_lacks_and_keeps_its_own(tmp_path: Path) -> None:
    place = take_data_folder(tmp_path)
    (tmp_path / "secrets.json").write_text(json.dumps({"JWT_SECRET": "of long ago"}))
    found = place.secrets()
    assert found["JWT_SECRET"] == "of long ago"
    assert found.keys() == {
        "JWT_SECRET", "MOCK_WEBHOOK_SECRETS", "FLOWER_BASIC_AUTH", "CONSOLE_BASIC_AUTH", "PAGES_SECRET",
        "PAYMENT_NAMESPACE", "WEBHOOK_SECRETS_KEY"}  # fmt: skip
    assert place.secrets() == found, "tokens and cookies outlive a restart"
    assert (tmp_path / "secrets.json").stat().st_mode & 0o077 == 0
    os.close(place.lock)


def test_commands_in_another_terminal_know_what_the_web_process_was_given(tmp_path: Path) -> None:
    given = {"TRUSTED_PROXIES": "127.0.0.0/8", "PROXY_HEADER": "X-Real-IP", "METRICS_TOKEN": "of who scrapes"}
    given |= {
        "CORS_ORIGINS": "https://shop.example",
        "SETTLEMENTS_DATABASE_URL": "postgresql://checkout_settlements@/a",
    }
    place = take_data_folder(tmp_path)
    place.write_environment(environment_for(place, given, ports={"PORT": "1", "FLOWER_PORT": "2"}, urls={}))
    written = dict(line.split("=", 1) for line in (tmp_path / "environment").read_text().splitlines())
    assert {name: shlex.split(written[name])[0] for name in given} == given, "the doctor would advise to set them"
    os.close(place.lock)
