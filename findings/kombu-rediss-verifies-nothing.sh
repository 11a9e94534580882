#!/bin/sh
# Kombu 5.7: rediss:// takes any certificate, and a second node of RabbitMQ is verified by the first one's name.
#
# redis-py demands a certificate of a known CA that names the host. Kombu's Redis transport hands it ssl_cert_reqs=none
# where the address has no option of TLS, so one REDIS_URL verifies as a cache and not as a broker; a line of its log
# says so. With pyamqp the host's name is compared only where server_hostname is given; None stands for the host of the
# address, and that is written into the dictionary that all addresses of the connection share.
# Whoever wants TLS has to write ssl_cert_reqs=required into each address, and to give each node options of its own.
#
# Seen: version 5.7.0 prints "rediss:// demands CERT_NONE, the second node is verified as first.test".
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "kombu[redis]==5.7.0" >"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
"$folder/venv/bin/python" - <<'PYTHON'
import logging
import ssl
from importlib.metadata import version

from kombu import Connection

logging.disable()
demanded = Connection("rediss://first.test/0").ssl["ssl_cert_reqs"]

nodes = Connection("amqps://first.test;amqps://second.test", ssl={"server_hostname": None, "cert_reqs": ssl.CERT_REQUIRED})
names = []


class Noted:
    """In place of a connection, which would be opened with these options."""

    def __init__(self, **options):
        names.append((options["host"].partition(":")[0], options["ssl"]["server_hostname"]))

    def connect(self):
        """Nobody is there."""


nodes.transport.Connection = Noted
nodes.transport.establish_connection()
nodes.switch("amqps://second.test")
nodes.transport.Connection = Noted
nodes.transport.establish_connection()
print(
    f"Kombu {version('kombu')}: rediss:// demands {demanded.name}, "
    f"the second node is verified as {names[1][1]}"
)
assert demanded is ssl.CERT_NONE, "the behaviour has changed"
assert names == [("first.test", "first.test"), ("second.test", "first.test")], "the behaviour has changed"
PYTHON
