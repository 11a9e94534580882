#!/bin/sh
# PyJWT: PyJWKClient refuses a key that the issuer has changed to, for half a minute after every fetch.
#
# Since 2.14 PyJWKClient fetches for an unknown key id only when its last fetch is cooldown_duration (30 s) old, and
# the ordinary fetches begin that time too: the first one, and each one after the set expired. So a token that is signed
# with a new key a second after such a fetch is refused as if the key did not exist. Nobody has to attack for that. With
# cooldown_duration=0, or with 2.13, each token that names an unknown key is a fetch, and anybody can write such tokens.
#
# Seen: "2.15.1: new key refused, 1 fetch; without the pause: found, 3 tokens with made-up keys are 3 fetches".
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "pyjwt[crypto]==2.15.1" >"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
"$folder/venv/bin/python" - <<'PYTHON'
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from jwt.algorithms import ECAlgorithm

keys, fetches = [], []


class Issuer(BaseHTTPRequestHandler):
    def do_GET(self):
        fetches.append(self.path)
        body = json.dumps({"keys": keys}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def publish(kid):
    key = generate_private_key(SECP256R1()).public_key()
    keys[:] = [{**ECAlgorithm.to_jwk(key, as_dict=True), "kid": kid, "use": "sig"}]


def is_found(client, kid):
    try:
        return client.get_signing_key(kid) is not None
    except jwt.PyJWKClientError:
        return False


server = HTTPServer(("127.0.0.1", 0), Issuer)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/"

publish("old")
client = jwt.PyJWKClient(url)
assert is_found(client, "old")
publish("new")
refused = not is_found(client, "new")
first = len(fetches)

publish("old")
client = jwt.PyJWKClient(url, cooldown_duration=0)
assert is_found(client, "old")
publish("new")
found = is_found(client, "new")
before = len(fetches)
for number in range(3):
    assert not is_found(client, f"made up {number}")
each = len(fetches) - before
server.shutdown()

print(
    f"{jwt.__version__}: new key {'refused' if refused else 'found'}, {first} fetch; "
    f"without the pause: {'found' if found else 'refused'}, 3 tokens with made-up keys are {each} fetches"
)
assert (refused, first, found, each) == (True, 1, True, 3), "the behaviour has changed"
PYTHON
