"""docs/ as a site: every page and link is there, and nothing of it is fetched from another host."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from tests.conftest import ROOT
from tests.pages.browser import DESKTOP, PHONE, open_browser, overflows

LOADED = re.compile(
    r"""<(?:script|img|iframe|source|video|audio|embed|object|use|form)\b[^>]*?\b(?:src|data|href|action)=["']?(?P<a>[^"'\s>]+)"""
    r"""|<link\b[^>]*?\bhref=["']?(?P<b>[^"'\s>]+)"""
    r"""|url\(\s*["']?(?P<c>(?:https?:)?//[^)"']+)|@import\s+["']?(?P<d>[^"';]+)""",
    re.I,
)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing: a green run prints its dots."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-W", "ignore", "-m", "mkdocs", "--quiet", "build", "--site-dir", str(folder)]
    command += ["--config-file", str(ROOT / "deploy" / "docs" / "mkdocs.yml")]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    return folder


@pytest.fixture
def address(site: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(site))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_each_page_of_docs_is_in_the_site(site: Path) -> None:
    pages = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    renamed = {Path(str(page).replace("README", "index")) for page in pages}
    assert len(renamed) > 40
    assert not {page for page in renamed if not (site / page).is_file()}


def test_the_links_of_alarms_lead_to_pages_of_the_site(site: Path, tmp_path: Path) -> None:
    """Once docs/observability.md's command has put an address before them."""
    page = (ROOT / "docs" / "observability.md").read_text(encoding="utf-8")
    [line] = re.findall(r"^(sed -i -E '[^']+') /etc/prometheus/rules/\*\.yaml$", page, re.M)
    rules = [shutil.copy(path, tmp_path) for path in (ROOT / "deploy" / "observability" / "rules").glob("*.yaml")]
    subprocess.run([*shlex.split(line), *rules], check=True)
    links = [link for path in rules for link in re.findall(r"runbook_url: (.+)$", Path(path).read_text(), re.M)]

    assert len(links) > 30
    for link in links:
        assert link.startswith("https://docs.example.com/"), link
        assert (site / urlsplit(link).path.removeprefix("/")).is_file(), link


def test_no_page_loads_anything_from_another_host(site: Path) -> None:
    found = {
        address
        for path in site.rglob("*")
        if path.suffix in {".html", ".css", ".svg"}
        for match in LOADED.finditer(path.read_text(encoding="utf-8"))
        for address in match.groups()
        if address and urlsplit(address).netloc
    }
    assert not found
    # The law finds what it forbids.
    assert LOADED.search('<link rel="preconnect" href="https://fonts.example">')
    assert LOADED.search("@import 'https://fonts.example/css'")


def test_it_is_read_searched_and_shows_the_api_without_another_host(address: str) -> None:
    requested: set[str] = set()
    with open_browser() as browser:
        page = browser.new_context(viewport=DESKTOP).new_page()  # type: ignore[arg-type]
        page.on("request", lambda request: requested.add(urlsplit(request.url).netloc))
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))

        page.goto(f"{address}/operating.html")
        page.get_by_role("textbox", name="Search").first.fill("idempotency")
        expect(page.locator(".md-search-result__item").first).to_contain_text(re.compile("idempoten", re.I))

        page.goto(f"{address}/api/index.html")
        expect(page.locator("[id^=operations-][id$=getCart]")).to_be_visible()

        page.set_viewport_size(PHONE)  # type: ignore[arg-type]
        page.goto(f"{address}/index.html")
        assert not overflows(page)
        assert not complaints
    assert {host for host in requested if host} == {urlsplit(address).netloc}
