"""What an issuer may publish: which keys count, for which tokens, and that anything else ends in one error."""

from __future__ import annotations

import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, SECP384R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa_key
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from checkout_service.identity.jwks_document import MOST_KEYS, UnusableJwksError, read_jwks

RSA_KEY = generate_rsa_key(65537, 2048)
WEAK_KEY = generate_rsa_key(65537, 1024)  # noqa: S505 (that is the point)
RSA: dict[str, Any] = {**RSAAlgorithm.to_jwk(RSA_KEY.public_key(), as_dict=True), "kid": "one"}
EC: dict[str, Any] = {**ECAlgorithm.to_jwk(generate_private_key(SECP256R1()).public_key(), as_dict=True), "kid": "one"}
EC_384: dict[str, Any] = {
    **ECAlgorithm.to_jwk(generate_private_key(SECP384R1()).public_key(), as_dict=True),
    "kid": "one",
}
ED: dict[str, Any] = {**OKPAlgorithm.to_jwk(Ed25519PrivateKey.generate().public_key(), as_dict=True), "kid": "one"}
SECRET = {"kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ", "kid": "one", "alg": "HS256"}
PRIVATE = {**ECAlgorithm.to_jwk(generate_private_key(SECP256R1()), as_dict=True), "kid": "one"}
MUCH_TOO_LONG = {**RSA, "n": "A" * 100_000}


def document(*keys: Any) -> bytes:
    return json.dumps({"keys": keys}).encode()


@pytest.mark.parametrize(
    ("key", "algorithms"),
    [
        ({**RSA, "key_ops": ["verify"]}, {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}),
        ({**RSA, "use": "sig", "alg": "PS256"}, {"PS256"}),
        (EC, {"ES256"}),
        (EC_384, {"ES384"}),
        (ED, {"EdDSA"}),
        ({**ED, "alg": "Ed25519"}, {"EdDSA"}),
        (
            {**RSA, "x5c": ["…"], "x5t": "…", "other": {"deep": [1]}},
            {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"},
        ),
    ],
)
def test_a_key_counts_for_the_algorithms_that_fit_it(key: dict[str, Any], algorithms: set[str]) -> None:
    ((found,),) = read_jwks(document(key)).values()
    assert found.algorithms == algorithms


@pytest.mark.parametrize(
    "key",
    [
        SECRET,
        {**SECRET, "kty": "oct", "alg": "RS256"},
        {**RSA, "alg": "HS256"},
        {**RSA, "alg": "none"},
        {**RSA, "alg": "ES256"},
        {**RSA, "alg": 256},
        {**RSA, "use": "enc"},
        {**RSA, "use": ["sig"]},
        {**RSA, "key_ops": ["encrypt"]},
        {**RSA, "key_ops": "verify"},
        {**RSA, "kty": "XYZ"},
        {**RSA, "kty": ["RSA"]},
        {**RSA, "kid": ""},
        {**RSA, "kid": 1},
        {**RSA, "kid": "k" * 257},
        {**RSA, "kid": None},
        {name: value for name, value in RSA.items() if name != "n"},
        {**RSA, "n": 7},
        {**RSA, "n": "!"},
        {**RSA, "n": "Ä"},
        {**RSA, "e": "AA"},
        {**RSA, "e": RSA["n"]},
        {**RSAAlgorithm.to_jwk(WEAK_KEY.public_key(), as_dict=True), "kid": "one"},
        MUCH_TOO_LONG,
        {**RSA, "n": RSA["n"] * 5},
        {**EC, "crv": "P-384"},
        {**EC, "crv": "P-257"},
        {**EC, "x": EC["y"]},
        {**ED, "crv": "X25519"},
        {**ED, "x": "AA"},
        PRIVATE,
        {**RSAAlgorithm.to_jwk(RSA_KEY, as_dict=True), "key_ops": ["verify"], "kid": "one"},
        None,
        7,
        "a key",
        [],
        [[]],
    ],
)
def test_a_key_that_is_none_of_ours_to_use_is_left_out_and_costs_no_other(key: Any) -> None:
    with pytest.raises(UnusableJwksError, match="it has no key that can be used"):
        read_jwks(document(key))
    found = read_jwks(document(key, {**EC, "kid": "two"}, key))
    assert set(found) == {"two"}


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        (b"", "it is not JSON"),
        (b"<html>", "it is not JSON"),
        (b"\xff\xfe", "it is not JSON"),
        (b'{"keys": [NaN]}', "it is not JSON"),
        (b"[" * 100_000, "it is not JSON"),
        (b'{"keys": ' + b"[" * 2000 + b"]" * 2000 + b"}", "it is not JSON"),
        (b'{"a": ' * 100_000, "it is not JSON"),
        (b"null", "it has no list of keys"),
        (b"[]", "it has no list of keys"),
        (b"{}", "it has no list of keys"),
        (b'{"keys": {}}', "it has no list of keys"),
        (b'{"keys": "keys"}', "it has no list of keys"),
        (b'{"keys": []}', "it has no key that can be used"),
        (document(*([SECRET] * (MOST_KEYS + 1))), "it has more than 256 keys"),
        (document(*({**EC, "kid": f"key {number}"} for number in range(10_000))), "it has more than 256 keys"),
    ],
)
def test_a_document_that_is_odd_ends_in_one_error(odd: bytes, words: str) -> None:
    with pytest.raises(UnusableJwksError, match=f"^{words}$"):
        read_jwks(odd)


def test_an_id_may_have_several_keys_and_each_counts_once() -> None:
    made = [generate_private_key(SECP256R1()) for _ in range(6)]
    entries = [{**ECAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": "one"} for key in made]
    (found,) = read_jwks(document(entries[0], entries[0], *entries)).values()
    assert [key.published[2] for key in found] == [entry["x"] for entry in entries[:4]]

    token = jwt.encode({"sub": "somebody"}, made[3], "ES256")
    assert jwt.decode(token, found[3].key, algorithms=["ES256"]) == {"sub": "somebody"}


def test_keys_differ_by_what_was_published() -> None:
    assert read_jwks(document(EC)) == read_jwks(document({**EC, "use": "sig", "other": 1}))
    assert read_jwks(document(EC)) != read_jwks(document({**EC_384, "kid": "one"}))


def test_a_key_without_an_id_is_found_by_none_and_costs_no_other() -> None:
    plain = {name: value for name, value in RSA.items() if name != "kid"}
    assert set(read_jwks(document(plain))) == {""}
    assert set(read_jwks(document(plain, {**EC, "kid": "two"}))) == {"", "two"}
