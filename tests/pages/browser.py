"""A real browser and axe-core: pages are used as people use them, and looked at as people cannot."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import axe_playwright_python
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.conftest import ROOT
from tests.flower_pages.browser import PAGE_WITHIN, QUIET, START_WITHIN, find_browser

SCREENSHOTS = ROOT / "docs" / "screenshots"
PHONE = {"width": 390, "height": 844}
NARROWEST = {"width": 320, "height": 640}
"""What is left of a desktop's screen at a zoom of 400 % (WCAG 2.2, 1.4.10)."""

DESKTOP = {"width": 1280, "height": 800}

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")


@contextmanager
def open_browser() -> Iterator[Browser]:
    """The system's Chromium. Skips, and says so, where there is none."""
    program = find_browser()
    expect.set_options(timeout=PAGE_WITHIN)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(QUIET), timeout=START_WITHIN)
        try:
            yield browser
        finally:
            browser.close()


def violations(page: Page) -> list[str]:
    """What axe-core has to say against the page, best practices and the size of targets included.

    Once it stands still: a button that is changing its colour has neither of the two.
    """
    page.evaluate("Promise.allSettled(document.getAnimations().map(each => each.finished))")
    page.evaluate("() => typeof axe") == "object" or page.evaluate(AXE)
    rules = {"target-size": {"enabled": True}}
    # Of what passes, axe-core names only the first element of each rule: to name them all took most of the time.
    found = page.evaluate("rules => axe.run({rules, resultTypes: ['violations']})", rules)
    assert found["passes"], "axe looked at nothing"
    return [
        f"{violation['id']}: {node['target']} {node['failureSummary']}"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]


def overflows(page: Page) -> bool:
    """Whether the page is wider than the screen, so that it has to be moved to be read."""
    return bool(page.evaluate("document.documentElement.scrollWidth > innerWidth"))


def cut(page: Page) -> list[str]:
    """What the page shows only in part, or after it was moved sideways within itself; what is only heard is no part."""
    return list(page.evaluate(_CUT))


_CUT = """() => Array.from(document.querySelectorAll("body *")).filter((each) => {
  const style = getComputedStyle(each);
  const heard = each.closest(".unseen, .watch:not(.trouble), thead");
  return !heard && each.clientWidth && style.overflowX !== "visible" && each.scrollWidth > each.clientWidth + 1;
}).map((each) => `${each.tagName} ${each.className} ${each.textContent.trim().slice(0, 60)}`)"""


def picture(page: Page, name: str, folder: Path, *, whole: bool = False) -> None:
    """Take a picture, of the whole page or of what fits on the screen, if pictures are asked for.

    Those in docs/ are taken again only when TAKE_SCREENSHOTS is set, so that a test leaves no trace; with LOOK they
    go into the folder. A picture proves nothing, and takes as long as all that is looked for on the page.
    """
    if "TAKE_SCREENSHOTS" in os.environ:
        page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=whole)
    elif "LOOK" in os.environ:
        page.screenshot(path=folder / f"{name}.png", full_page=whole)


def tab_to(page: Page, name: str, *, most: int = 80) -> None:
    """Press Tab until what has the focus is called so, as its user hears it; the focus must be seen all the way."""
    for _ in range(most):
        page.keyboard.press("Tab")
        called, outline = page.evaluate(_FOCUSED)
        assert outline >= 2, f"{called!r} has the focus, and nobody sees it"
        if called.startswith(name):
            return
    raise AssertionError(f"Tab does not lead to {name!r}")


_FOCUSED = """() => {
  const found = document.activeElement;
  const label = found.labels?.[0]?.textContent ?? found.textContent;
  return [label.replace(/\\s+/g, " ").trim(), parseFloat(getComputedStyle(found).outlineWidth) || 0];
}"""
