"""An identity provider for tests: signs tokens, publishes its keys, and can be slow, silent or gone."""

from __future__ import annotations

import json
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm


class Issuer:
    """Serves ``keys`` at ``url`` and counts the requests."""

    def __init__(self) -> None:
        self.path = f"/keys/{uuid4().hex}"
        self.keys: list[dict[str, Any]] = []
        self.requests = 0
        self.answering = threading.Event()
        self.answering.set()
        self.status = 200
        self.document: bytes | None = None
        """Sent in place of the keys."""
        self.headers: dict[str, str] = {}
        self.piece, self.pause = 2**16, 0.0
        """So many bytes are sent at once, and so many seconds are waited after them."""
        self._private: dict[str, tuple[Any, str]] = {}
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path != issuer.path:
                    self.send_error(404)  # meant for whoever had this port before
                    return
                issuer.requests += 1
                issuer.answering.wait(30)
                body = json.dumps({"keys": issuer.keys}).encode() if issuer.document is None else issuer.document
                self.send_response(issuer.status)
                for name, value in {"Content-Length": str(len(body)), **issuer.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                with suppress(ConnectionError):
                    for start in range(0, len(body), issuer.piece):
                        self.wfile.write(body[start : start + issuer.piece])
                        time.sleep(issuer.pause)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}{self.path}"

    def add_key(self, kid: str, algorithm: str = "RS256") -> str:
        """Publish a new key; its public half as PEM."""
        if algorithm == "RS256":
            key: Any = generate_rsa_key(65537, 2048)
            published = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
        elif algorithm == "ES256":
            key = generate_private_key(SECP256R1())
            published = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
        else:
            key = Ed25519PrivateKey.generate()
            published = OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)
        self._private[kid] = (key, algorithm)
        self.keys.append({**published, "kid": kid, "use": "sig", "alg": algorithm})
        return public_pem(key)

    def withdraw(self, kid: str) -> None:
        self.keys = [key for key in self.keys if key["kid"] != kid]

    def sign(self, claims: dict[str, Any], kid: str) -> str:
        key, algorithm = self._private[kid]
        return jwt.encode(claims, key, algorithm, headers={"kid": kid})

    def go_away(self) -> None:
        """Nothing listens any more."""
        self.answering.set()
        self._server.shutdown()
        self._server.server_close()


def public_pem(private_key: Any) -> str:
    pem: bytes = private_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem.decode()
