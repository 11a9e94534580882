"""The TypeScript client's own tests, which node runs."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.clients.conftest import TYPESCRIPT


@pytest.mark.usefixtures("another_node")
def test_the_tests_of_the_typescript_client_pass(node: str, compiled: Path) -> None:
    command = [node, "--test", "--test-reporter=tap", "client.test.js"]
    done = subprocess.run(command, cwd=compiled, capture_output=True, text=True, check=False, timeout=200)

    assert done.returncode == 0, done.stdout
    written = len(re.findall(r"^ *test\(", (TYPESCRIPT / "client.test.ts").read_text(encoding="utf-8"), re.M))
    passed = re.search(r"^# pass (\d+)$", done.stdout, re.M)
    # One of them stands in a loop over three callers.
    assert passed is not None
    assert int(passed[1]) == written + 2
