"""``python -m checkout_service.command_line``: the same as ``checkout``, where no script is installed."""

from __future__ import annotations

from checkout_service.command_line.entry import main

if __name__ == "__main__":
    main()
