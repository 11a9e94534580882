"""Where one-machine mode keeps things."""

from __future__ import annotations

import json
import os
from pathlib import Path

from checkout_service.local.data_folder import take_data_folder


def test_a_place_of_an_older_version_gets_the_secrets_that_it_lacks_and_keeps_its_own(tmp_path: Path) -> None:
    place = take_data_folder(tmp_path)
    (tmp_path / "secrets.json").write_text(json.dumps({"JWT_SECRET": "of long ago"}))
    found = place.secrets()
    assert found["JWT_SECRET"] == "of long ago"
    assert found.keys() == {
        "JWT_SECRET", "MOCK_WEBHOOK_SECRETS", "FLOWER_BASIC_AUTH", "CONSOLE_BASIC_AUTH", "PAGES_SECRET",
        "PAYMENT_NAMESPACE"}  # fmt: skip
    assert place.secrets() == found, "tokens and cookies outlive a restart"
    assert (tmp_path / "secrets.json").stat().st_mode & 0o077 == 0
    os.close(place.lock)
