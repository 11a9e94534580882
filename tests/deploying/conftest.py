"""Apps of a test's own, and Helm."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from tests.apps import make_app
from tests.deploying.charts import ALL, OPERATOR, Document, Helm

__all__ = ["make_app"]


@pytest.fixture(scope="session")
def helm() -> Iterator[Helm]:
    """Helm's process, for all tests of a run."""
    if find_spec("helm_python") is None:
        pytest.skip("NO HELM: this machine has no wheel of helm-python-sdk, so the chart is not rendered")
    with Helm() as process:
        yield process


@pytest.fixture
def everything(helm: Helm) -> list[Document]:
    """All that the chart can make."""
    return helm.documents(ALL, apis=[OPERATOR])
