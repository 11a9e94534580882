"""Every kit there is: a provider is tried as soon as a file of its name stands beside this one."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from tests.providers.kits.kit import Kit

_modules = [
    import_module(f"tests.providers.kits.{file.stem}")
    for file in sorted(Path(__file__).parent.glob("*.py"))
    if file.stem != "collection"
]

KITS: dict[str, Kit] = {module.KIT.name: module.KIT for module in _modules if hasattr(module, "KIT")}
