"""The form of an API key: random, greppable, and known from what only looks like one."""

from __future__ import annotations

import re
import zlib

from checkout_service.identity.key_form import hash_of, is_key, is_prefix, new_key, prefix_of

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def number(text: str) -> int:
    value = 0
    for character in text:
        value = 62 * value + DIGITS.index(character)
    return value


def test_a_key_is_256_random_bits_between_a_fixed_beginning_and_a_checksum() -> None:
    keys = [new_key() for _ in range(500)]

    assert len(set(keys)) == 500
    for key in keys:
        assert re.fullmatch(r"csk_[0-9A-Za-z]{49}", key)
        assert number(key[4:47]) < 2**256
        assert number(key[47:]) == zlib.crc32(key[:47].encode())
        assert is_key(key)
    # Each of the bits is now set, now not.
    bits = [number(key[4:47]) for key in keys]
    assert all(len({value >> place & 1 for value in bits}) == 2 for place in range(256))


def test_a_key_with_one_other_character_is_none() -> None:
    key = new_key()
    for place in range(4, len(key)):
        other = DIGITS[(DIGITS.index(key[place]) + 1) % 62]
        assert not is_key(key[:place] + other + key[place + 1 :])
    for wrong in (key[:-1], key + "0", key + "\n", " " + key, key.upper(), key.replace("csk_", "csk-"), "", "csk_"):
        assert not is_key(wrong)


def test_the_prefix_is_the_beginning_and_opens_nothing() -> None:
    key = new_key()

    assert key.startswith(prefix_of(key))
    assert len(prefix_of(key)) == 12
    assert is_prefix(prefix_of(key))
    assert not is_prefix(key)
    assert not is_key(prefix_of(key))
    assert len(hash_of(key)) == 32
    assert hash_of(key) != hash_of(new_key())
