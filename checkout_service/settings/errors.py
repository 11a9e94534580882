"""What is wrong with the environment, or with what is installed in it."""

from __future__ import annotations


class SettingsError(Exception):
    """The environment cannot be used; the message lists every fault, one a line, and no secret."""
