"""The apps of their own that these tests begin with."""

from tests.apps import patience
from tests.own_apps import frozen_port, make_app, own_client

__all__ = ["frozen_port", "make_app", "own_client", "patience"]
