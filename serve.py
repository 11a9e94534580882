"""Starts the web process: ``python serve.py wsgi:app``. It hands on to checkout_service/command_line/serving.py.

The first process only listens. It runs this file again, as the one that serves; on SIGHUP once more, from the code that
lies here by then.
"""

from __future__ import annotations

import signal
import sys

if __name__ == "__main__":
    # Before all else: SIGHUP would end a service that is only starting, and the first process of a container has no
    # SIGTERM of its own.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))

from checkout_service.command_line.serving import serve

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python serve.py wsgi:app")
    serve(sys.argv[1])
