"""Where one-machine mode keeps things."""

from __future__ import annotations

import json
import os
from pathlib import Path

from checkout_service.local.place import environment_for, free_ports, take_place


def test_a_place_of_an_older_version_gets_the_secrets_that_it_lacks_and_keeps_its_own(tmp_path: Path) -> None:
    place = take_place(tmp_path)
    (tmp_path / "secrets.json").write_text(json.dumps({"JWT_SECRET": "of long ago"}))
    found = place.secrets()
    assert found["JWT_SECRET"] == "of long ago"
    assert found.keys() == {
        "JWT_SECRET", "MOCK_WEBHOOK_SECRETS", "FLOWER_BASIC_AUTH", "PAGES_SECRET", "PAYMENT_NAMESPACE"}  # fmt: skip
    assert place.secrets() == found, "tokens and cookies outlive a restart"
    assert (tmp_path / "secrets.json").stat().st_mode & 0o077 == 0
    os.close(place.lock)


def test_the_mock_provider_has_an_address_unless_somebody_names_another(tmp_path: Path) -> None:
    place = take_place(tmp_path)
    ours = environment_for(place, {}, ports=free_ports(), urls={})
    theirs = environment_for(place, {"MOCK_API_BASE": "http://127.0.0.1:9"}, ports=free_ports(), urls={})
    assert ours["MOCK_API_BASE"].startswith("http://127.0.0.1:")
    assert theirs["MOCK_API_BASE"] == "http://127.0.0.1:9"
    place.tell(ours)
    assert f"MOCK_API_BASE={ours['MOCK_API_BASE']}" in (tmp_path / "environment").read_text()
    os.close(place.lock)
