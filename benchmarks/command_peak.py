"""Runs a command to its end, and prints how long it took and its most memory as JSON.

A process of its own, since what is counted for a command includes the memory of who started it: this one has little.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time


def main() -> int:
    """Run what the arguments say, and answer with its exit status."""
    began = time.perf_counter()
    done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=False)
    seconds = time.perf_counter() - began
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    sys.stdout.write(json.dumps({"seconds": seconds, "memory": memory}))
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
