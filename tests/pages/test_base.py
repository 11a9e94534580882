"""What all pages share: assets that are cached for good, headers that let nothing in, errors that people can read."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask, render_template
from werkzeug.test import TestResponse

from checkout_service.api.callers import public
from checkout_service.pages import forms
from checkout_service.pages.base import PageBlueprint
from tests.apps import MakeApp, make_app

__all__ = ["make_app"]

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.fixture
def paged(make_app: MakeApp) -> Flask:
    """An app with pages, and three of the test's own: one that is there, one that fails, one that takes a form."""
    app = make_app(pages=True)
    blueprint = PageBlueprint("test", __name__, url_prefix="/test")

    @blueprint.get("/there")
    @public
    def there() -> str:
        return render_template("base/layout.html")

    @blueprint.get("/failing")
    @public
    def failing() -> str:
        raise RuntimeError("hunter2")

    @blueprint.post("/form")
    @public
    def form() -> str:
        forms.check("somebody")
        return "taken"

    app.register_blueprint(blueprint)
    return app


def is_page(answer: TestResponse, status: int) -> bool:
    """Also checks the headers that every page has."""
    assert answer.content_type == "text/html; charset=utf-8"
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    for kind in ("script-src", "style-src", "img-src", "connect-src", "form-action"):
        assert policy[kind] == "'self'"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|://", answer.text)
    return answer.status_code == status


def test_a_page_names_its_assets_by_their_content_and_browsers_keep_them_for_good(paged: Flask) -> None:
    client = paged.test_client()
    page = client.get("/test/there")
    assert is_page(page, 200)
    addresses = re.findall(r'"(/assets/[^"]+)"', page.text)
    assert len(addresses) >= 2
    for address in addresses:
        asset = client.get(address)
        assert asset.status_code == 200
        assert asset.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        other = client.get(address.replace(address.split("/")[2], "000000000000"))
        assert other.data == asset.data
        assert other.headers["Cache-Control"] == "public, no-cache"
    assert client.get("/assets/000000000000/../base.py").status_code == 404
    assert client.get("/assets/000000000000/nothing.css").status_code == 404


def test_people_get_errors_as_pages_and_machines_as_problem_documents(paged: Flask) -> None:
    client = paged.test_client()
    assert is_page(client.get("/nowhere", headers=BROWSER), 404)
    failed = client.get("/test/failing", headers={**BROWSER, "X-Request-Id": "find-me"})
    assert is_page(failed, 500)
    assert "find-me" in failed.text
    assert "hunter2" not in failed.text
    for path, headers in (
        ("/nowhere", {}),
        ("/nowhere", {"Accept": "*/*"}),
        ("/nowhere", {"Accept": "application/json, text/html;q=0.5, application/problem+json"}),
        # Longer than any browser's: how long it takes to read one is not for its sender to say.
        ("/nowhere", {"Accept": BROWSER["Accept"] + ",text/plain" * 100}),
        ("/api/nowhere", BROWSER),
        ("/api/cart", BROWSER),
    ):
        answer = client.get(path, headers=headers)
        assert answer.content_type == "application/problem+json", path


def test_a_form_is_taken_only_with_the_token_of_whom_it_was_shown_to(paged: Flask) -> None:
    client = paged.test_client()
    with paged.app_context():
        good, others = forms.token("somebody"), forms.token("somebody else")
        now = datetime.now(UTC)
        yesterday, old = (forms._token("somebody", now - timedelta(days=days)) for days in (1, 2))
    assert good == paged_token(paged), "an unchanged page must not change"
    for token in (good, yesterday):
        assert client.post("/test/form", data={"csrf": token}).text == "taken"
    for token in (others, old, "", "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"), good.upper()):
        answer = client.post("/test/form", data={"csrf": token})
        assert answer.status_code == 403
        assert "taken" not in answer.text
    for site in ("cross-site", "same-site"):
        assert client.post("/test/form", data={"csrf": good}, headers={"Sec-Fetch-Site": site}).status_code == 403


def paged_token(app: Flask) -> str:
    with app.app_context():
        return forms.token("somebody")


def test_without_pages_nothing_of_them_is_there(app: Flask) -> None:
    client = app.test_client()
    assert not any(rule.rule.startswith("/assets") for rule in app.url_map.iter_rules())
    assert client.get("/nowhere", headers=BROWSER).content_type == "application/problem+json"
