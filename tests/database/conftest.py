"""Apps of a test's own, and deployments on a server that asks for passwords."""

from tests.apps import make_app
from tests.database.shops import server, shop

__all__ = ["make_app", "server", "shop"]
