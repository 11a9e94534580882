"""Styles, scripts and pictures of the pages: read once, and kept by browsers for as long as they do not change."""

from __future__ import annotations

import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flask import Blueprint, Flask, Response, current_app, url_for

from checkout_service.api.callers import public
from checkout_service.api.problems import NotFound

blueprint = Blueprint("assets", __name__, url_prefix="/assets")

FOR_GOOD: Final = "public, max-age=31536000, immutable"
"""The address holds a hash of the content, so what it names never changes."""

AGAIN: Final = "public, no-cache"

_KINDS: Final = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One file as it is served."""

    content: bytes
    digest: str
    kind: str


def init_app(app: Flask) -> None:
    """Let templates name a file: ``{{ asset("site.css") }}``."""
    app.extensions["assets"] = {}
    app.register_blueprint(blueprint)
    app.add_template_global(address, "asset")


def add_folder(app: Flask, folder: Path) -> None:
    """Serve the files of a folder, which is not searched deeper. A name that is taken is a mistake, and raises."""
    assets: dict[str, Asset] = app.extensions["assets"]
    for path in sorted(folder.iterdir()):
        if path.name in assets:
            raise ValueError(f"two assets are named {path.name}")
        content = path.read_bytes()
        kind = _KINDS.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        assets[path.name] = Asset(content=content, digest=hashlib.sha256(content).hexdigest()[:12], kind=kind)


def address(name: str) -> str:
    """Where the file is, as it is now. Raises KeyError."""
    asset: Asset = current_app.extensions["assets"][name]
    return url_for("assets.show_asset", digest=asset.digest, name=name)


@blueprint.get("/<digest>/<name>")
@public
def show_asset(digest: str, name: str) -> Response:
    """One file. Under the hash of another version, as a rolling restart may ask for it, it is served but not kept."""
    asset: Asset | None = current_app.extensions["assets"].get(name)
    if asset is None:
        raise NotFound
    answer = Response(asset.content, content_type=asset.kind)
    answer.headers["Cache-Control"] = FOR_GOOD if digest == asset.digest else AGAIN
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    return answer
