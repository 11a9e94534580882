"""Reads what the web tier alone takes: the pages for people, and the operators' console."""

from __future__ import annotations

from typing import Any

from checkout_service.settings.reader import Reader
from checkout_service.settings.secret import Secret


class WebReader(Reader):
    """Reads what the web tier alone takes."""

    def pages(self) -> dict[str, Any]:
        """The pages for people: on where things are tried, off in production unless somebody wants them."""
        secret = self._env.str("PAGES_SECRET", "")
        signable = bool(secret or self._env.str("JWT_SECRET", ""))
        on = self._env.bool("PAGES", signable and not self._production)
        if on and not signable:
            self._faults.append("PAGES_SECRET: the pages sign cookies; set it, or PAGES=off")
        if secret and self._production and len(secret.encode()) < 32:
            self._faults.append("PAGES_SECRET: shorter than 32 bytes, which is too weak in production")
        return {"pages": on, "pages_secret": Secret(secret) if secret else None}

    def console(self) -> dict[str, Any]:
        """The operators' console: on where somebody can come in by a password, or where ``CONSOLE=on`` says so."""
        listed: list[str] = self._env.list("CONSOLE_BASIC_AUTH", []) or []
        pairs = [pair.partition(":") for pair in listed]
        if any(not user.strip() or not password for user, _, password in pairs):
            self._faults.append("CONSOLE_BASIC_AUTH: set it to user:password, several with commas between them")
        if self._production and any(len(password) < 16 for _, _, password in pairs):
            self._faults.append("CONSOLE_BASIC_AUTH: a password shorter than 16 characters is too weak in production")
        on = self._env.bool("CONSOLE", bool(pairs))
        if on and not (self._env.str("PAGES_SECRET", "") or self._env.str("JWT_SECRET", "")):
            self._faults.append("PAGES_SECRET: the console signs its forms; set it, or CONSOLE=off")
        return {
            "console": on,
            "console_users": {user.strip(): Secret(password) for user, _, password in pairs},
            "flower_url": self._env.str("FLOWER_URL", "").rstrip("/") or None,
        }
