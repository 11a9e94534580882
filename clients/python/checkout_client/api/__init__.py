"""The operations, by what they are about."""

from typing import Final

API_VERSION: Final = "2026-11-29"
"""The version of the API by which this client was generated."""
