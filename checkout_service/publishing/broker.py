"""How Celery reaches the broker that the settings name: for whoever publishes, consumes, or only looks."""

from __future__ import annotations

import ssl
from typing import Any, Final

from kombu.transport import TRANSPORT_ALIASES
from kombu.transport.pyamqp import SSLTransport

from checkout_service.settings.server_addresses import celery_url, tls_options

_PY_AMQP: Final = {"ssl_ca_certs": "ca_certs", "ssl_certfile": "certfile", "ssl_keyfile": "keyfile"}
"""Options of TLS as an address has them, and what py-amqp calls each."""


class VerifyingTransport(SSLTransport):
    """RabbitMQ over TLS, whose certificate must be of a known CA and name the host.

    py-amqp compares the name only where it is given one. Kombu would write that of the first node into options that the
    others share, and verify the second node by it.
    """

    def establish_connection(self) -> Any:
        """A connection to the node that the client is at. Raises ssl.SSLError, which is an OSError."""
        client: Any = self.client
        host, given = client.hostname, client.ssl
        options = given if isinstance(given, dict) else {}
        client.ssl = {_PY_AMQP[name]: value for name, value in options.items() if name in _PY_AMQP}
        client.ssl |= {"server_hostname": host, "cert_reqs": ssl.CERT_REQUIRED}
        try:
            return super().establish_connection()
        finally:
            # Kombu takes localhost for 127.0.0.1, which certificates name less often.
            client.hostname, client.ssl = host, given


def celery_broker(broker_url: str) -> dict[str, Any]:
    """Celery's settings of the broker, from the address as it is set.

    Those of reading and writing, since Celery prefers the environment's ``CELERY_BROKER_URL`` to a ``broker_url``.
    """
    TRANSPORT_ALIASES["amqps"] = f"{__name__}:{VerifyingTransport.__name__}"
    address = celery_url(broker_url)
    return {
        "broker_url": address,
        "broker_read_url": address,
        "broker_write_url": address,
        # In the address too, where Kombu looks; Flower looks only here.
        "broker_use_ssl": tls_options(broker_url) or False,
    }
