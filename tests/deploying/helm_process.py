"""Helm 4 in a process of its own, a request and an answer a line: Go's runtime has threads, and tests fork."""

from __future__ import annotations

import json
import sys
from typing import Any

import helm_python
from helm_python import _native


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """What Helm makes of the values, or in which words it refuses them."""
    try:
        values = helm_python.values_from_yaml(request["values"]) if request["values"] else {}
        if request["do"] == "lint":
            return helm_python.lint(request["chart"], values, strict=True)
        with helm_python.Chart.load(request["chart"]) as chart:
            # The public `render` takes neither the cluster's version nor its APIs.
            options = json.dumps(request["options"])
            return {"files": json.loads(_native.call_string("helm_render", chart._raw(), json.dumps(values), options))}
    except helm_python.HelmError as error:
        return {"refused": str(error)}


if __name__ == "__main__":
    for line in sys.stdin:
        sys.stdout.write(json.dumps(answer(json.loads(line))) + "\n")
        sys.stdout.flush()
