"""The apps of their own that these tests begin with."""

from tests.api.every_route import everything
from tests.own_apps import frozen_port, make_app, own_client

__all__ = ["everything", "frozen_port", "make_app", "own_client"]
