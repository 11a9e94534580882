"""What mkdocs does for our pages beyond its own: they are written to be read in the repository too.

A link to a page beside docs/ (the README, the changelog) leads to that page in the site, where it is a guest. One to a
file of the code stays as its path, since no other host is named. The page of the API is the service's own, with the
document of the release.
"""

from __future__ import annotations

import os
import posixpath
import re
import shutil
from pathlib import Path, PurePosixPath
from typing import Any

import flask_swagger_ui
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from checkout_service.api import openapi_page

REPOSITORY = Path(__file__).resolve().parent.parent.parent

GUESTS = {
    "README.md": "readme.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "reporting.md",
    "clients/README.md": "clients.md",
    "deploy/hosts/README.md": "three-hosts.md",
}
"""Pages that lie elsewhere in the repository, and their names in the site."""

API_PAGE = "api/index.html"

_LINK = re.compile(r"(?P<before>!?\[(?P<text>(?:[^\[\]]|\[[^\[\]]*\])*)\]\()(?P<target>[^)\s]+)\)")
_FENCE = re.compile(r"^\s*(?:```|~~~)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Take the guests in."""
    for path, name in GUESTS.items():
        source = REPOSITORY / path
        files.append(File.generated(config, name, content=source.read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Have each relative link lead to where its target is in the site."""
    origin = _in_repository(page.file.src_uri)

    def rewritten(found: re.Match[str]) -> str:
        target = found["target"]
        if re.match(r"[a-z][a-z0-9+.-]*:|#|//", target):
            return found[0]
        path, _, anchor = target.partition("#")
        there = posixpath.normpath(posixpath.join(posixpath.dirname(origin), path))
        if there == "docs/openapi.json":
            here = posixpath.relpath(API_PAGE, posixpath.dirname(page.file.dest_uri) or ".")
            return f'<a href="{here}">{found["text"]}</a>'
        inside = _in_site(there)
        if inside is None or files.get_file_from_path(inside) is None:
            if not (REPOSITORY / there).exists():
                return found[0]  # mkdocs finds it wrong, and fails
            return f"{found['text']} (`{there}`)"
        here = posixpath.relpath(inside, posixpath.dirname(page.file.src_uri) or ".")
        return f"{found['before']}{here}{'#' + anchor if anchor else ''})"

    lines, is_code = [], False
    for line in markdown.split("\n"):
        if _FENCE.match(line):
            is_code = not is_code
        lines.append(line if is_code else _LINK.sub(rewritten, line))
    return "\n".join(lines)


def on_post_build(config: MkDocsConfig, **_: Any) -> None:
    """Add the page of the API: the service's own page and assets, and the document of the release."""
    folder = Path(config.site_dir) / "api"
    assets = Path(flask_swagger_ui.__file__).parent / "dist"
    (folder / "docs").mkdir(parents=True, exist_ok=True)
    for name in openapi_page.ASSETS:
        shutil.copyfile(assets / name, folder / "docs" / name)
    for path, text in openapi_page.static_page().items():
        (folder / path).write_text(text, encoding="utf-8")
    shutil.copyfile(Path(config.docs_dir) / "openapi.json", folder / "openapi.json")


def _in_repository(uri: str) -> str:
    by_name = {name: path for path, name in GUESTS.items()}
    return by_name.get(uri, str(PurePosixPath("docs") / uri))


def _in_site(path: str) -> str | None:
    """The page or picture by this path of the repository; None where the site has it not."""
    if path in GUESTS:
        return GUESTS[path]
    if path.startswith("docs" + os.sep):
        return path.removeprefix("docs/")
    return None
