"""Reads the console's part of the environment."""

from __future__ import annotations

from typing import Any

from checkout_service.accounts import Secret
from checkout_service.environment import Reader


class WebReader(Reader):
    """Reads what the web tier alone takes."""

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
