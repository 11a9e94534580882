"""What an image of a listing may be: an address at one of the shop's image origins, and what it shows in words."""

from __future__ import annotations

import re
from typing import Any, Final

from checkout_service.catalog.jsonl import BadLineError, check_text, write_json
from checkout_service.settings.origins import Origins

MOST_IMAGES: Final = 10
LONGEST_URL: Final = 2000
LONGEST_ALT: Final = 500

# Characters of RFC 3986, without those that end an attribute, a directive or a URL in a list of them.
_URL: Final = re.compile(r"(https?://[a-z0-9.-]+(?::[0-9]{1,5})?)/[A-Za-z0-9._~:/?#\[\]@!$&()*+=%-]*")


def parse_images(value: Any, origins: Origins | None) -> str:
    """The images of a line as JSON, an array of ``{url, alt}``. Raises BadLineError.

    A page of the shop shows what its Content-Security-Policy names, which are the origins of ``IMAGE_ORIGINS``; an
    address elsewhere would be a picture that nobody sees, or a stranger's word on who looks at the shop.
    """
    if value is None:
        return "[]"
    if not isinstance(value, list):
        raise BadLineError("images is no array")
    if len(value) > MOST_IMAGES:
        raise BadLineError(f"images has more than {MOST_IMAGES} items")
    return write_json([_image(item, f"images[{place}]", origins) for place, item in enumerate(value)], "images")


def _image(item: Any, where: str, origins: Origins | None) -> dict[str, str]:
    if not isinstance(item, dict) or item.keys() != {"url", "alt"}:
        raise BadLineError(f'{where} is no {{"url", "alt"}}')
    url, alt = item["url"], item["alt"]
    if not isinstance(alt, str) or len(alt) > LONGEST_ALT:
        raise BadLineError(f"{where}.alt is no text of at most {LONGEST_ALT} characters")
    check_text(alt, f"{where}.alt")
    matched = _URL.fullmatch(url) if isinstance(url, str) and len(url) <= LONGEST_URL else None
    if matched is None:
        raise BadLineError(f"{where}.url is no address such as https://images.example/blazer.jpg")
    if origins is None or not origins.admits(matched[1]):
        raise BadLineError(f"{where}.url: IMAGE_ORIGINS does not name {matched[1]}")
    return {"url": url, "alt": alt}
