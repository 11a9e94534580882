#!/bin/sh
# mollie-api-py 1.10.20: the two signatures of a change of secrets are refused once a web server has joined them.
#
# While a signing secret is changed, Mollie sends the header X-Mollie-Signature twice, and SignatureValidator takes a
# list "for migration periods". WSGI gives both lines as one text, joined with a comma (PEP 3333, RFC 9110 5.3), and so do
# most frameworks. A text is one signature to the validator: it raises InvalidSignatureException, although each of the two
# is right. Receivers have to split the text at its commas before they hand it over.
#
# Seen: version 1.10.20 prints "one: True, both as a list: True, both as WSGI gives them: InvalidSignatureException".
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "mollie-api-py==1.10.20" >"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
"$folder/venv/bin/python" - <<'PYTHON'
from http.client import HTTPConnection
from importlib.metadata import version
from threading import Thread
from wsgiref.simple_server import WSGIRequestHandler, make_server

from mollie.utils.webhooks import SignatureValidator

SECRETS, BODY = ["the new secret", "the old secret"], '{"resource": "event"}'
signatures = [f"sha256={SignatureValidator.create_signature(BODY, secret)}" for secret in SECRETS]
seen = []


def receive(environ, start_response):
    seen.append(environ["HTTP_X_MOLLIE_SIGNATURE"])
    start_response("200 OK", [("Content-Length", "0")])
    return [b""]


class Quiet(WSGIRequestHandler):
    def log_message(self, *parts):
        pass


server = make_server("127.0.0.1", 0, receive, handler_class=Quiet)
thread = Thread(target=server.handle_request)
thread.start()
connection = HTTPConnection("127.0.0.1", server.server_port, timeout=20)
connection.putrequest("POST", "/")
for signature in signatures:
    connection.putheader("X-Mollie-Signature", signature)
connection.putheader("Content-Length", "0")
connection.endheaders()
connection.getresponse().read()
thread.join()
server.server_close()


def outcome(given):
    try:
        return SignatureValidator.validate(BODY, SECRETS[0], given)
    except Exception as error:
        return type(error).__name__


outcomes = outcome(signatures[0]), outcome(signatures), outcome(seen[0])
print(f"mollie-api-py {version('mollie-api-py')}: one: {outcomes[0]}, both as a list: {outcomes[1]}, "
      f"both as WSGI gives them: {outcomes[2]}")
assert seen[0] == ",".join(signatures), "the server joins them in another way"
assert outcomes == (True, True, "InvalidSignatureException"), "the behaviour has changed"
PYTHON
