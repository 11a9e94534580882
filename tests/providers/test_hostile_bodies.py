"""Bodies that no provider would send: each ends as one error, at once, and none of their bytes in its message."""

from __future__ import annotations

import hashlib
import hmac
import json
import sys
from datetime import UTC, datetime
from time import monotonic
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from checkout_service.providers.adapters.mock.provider import MockProvider, sign
from checkout_service.providers.base import UnverifiedError
from checkout_service.providers.raw_webhook import RawWebhook
from checkout_service.settings.provider_accounts import Account
from checkout_service.settings.secret import Secret
from checkout_service.strict_json import parse_object
from tests.webhook_bodies import webhook

SECRET = "the secret of this test"
VERIFIED = webhook(
    "mock_pi_6a1f0c3f5f0e5d7c9f3b1d2e4c5a6b7d", secret=SECRET, event_id="evt_1", amount="240.00", sizes=[1, 2]
)
HOSTILE = "raw_data with a password: hunter2"


def read(body: bytes) -> Any:
    raw_webhook = RawWebhook(provider="mock", headers={}, body=body, received_at=datetime.now(UTC))
    return MockProvider(Account(secrets=[Secret(SECRET)])).verify_and_parse(raw_webhook).events


def spelled_and_signed(content: str) -> bytes:
    """A webhook whose content is spelled by hand, with a signature over just that spelling."""
    signature = hmac.new(SECRET.encode(), content.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
    return (content[:-1] + f',"signature":"{signature}"}}').encode("utf-8", "surrogatepass")


def with_details(details: str) -> bytes:
    return spelled_and_signed(f'{{"provider_ref":"r","raw_data":{{{details}}},"status":"paid"}}')


BODIES = {
    "nothing": b"",
    "white space": b" \n",
    "no JSON": b"raw_data with a password: hunter2",
    "an array": b"[]",
    "a text": b'"paid"',
    "a number": b"240",
    "null": b"null",
    "cut short": VERIFIED[:-5],
    "two webhooks": VERIFIED + VERIFIED,
    "a byte order mark": b"\xef\xbb\xbf" + VERIFIED,
    "UTF-16": VERIFIED.decode().encode("utf-16"),
    "UTF-32": VERIFIED.decode().encode("utf-32"),
    "Latin-1": '{"a":"ü"}'.encode("latin-1"),
    "an overlong NUL": b'{"a":"\xc0\x80"}',
    "a raw NUL": b'{"a":"\x00"}',
    "an encoded surrogate": b'{"a":"\xed\xa0\x80"}',
    "a duplicate key": b'{"status":"failed",' + VERIFIED[1:],
    "a duplicate key by escape": b'{"st\\u0061tus":"failed",' + VERIFIED[1:],
    "a duplicate key far below": with_details('"a":{"b":1,"b":1}'),
    "a float": with_details('"a":1.5'),
    "a float that is whole": with_details('"a":1.0'),
    "an exponent": with_details('"a":1e3'),
    "beyond every float": with_details('"a":1e400'),
    "infinity": with_details('"a":Infinity'),
    "not a number": with_details('"a":NaN'),
    "a lone surrogate": with_details('"a":"\\ud800"'),
    "a lone surrogate as key": with_details('"\\udfff":1'),
    "surrogates in the wrong order": with_details('"a":"\\udc00\\ud800"'),
    "a NUL": with_details('"a":"\\u0000"'),
    "a NUL behind a backslash": with_details('"a":"\\\\\\u0000"'),
    "a NUL as key": with_details('"\\u0000":1'),
    "an integer of 5,000 digits": with_details('"a":' + "9" * 5000),
    "brackets without end": b"[" * 250_000,
    "objects without end": b'{"a":' * 40_000,
    "deep arrays": with_details('"a":' + "[" * 100_000 + "]" * 100_000),
    "rather deep arrays": with_details('"a":' + "[" * 300 + "]" * 300),
    "deep objects": with_details('"a":' + '{"a":' * 30_000 + "1" + "}" * 30_000),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_a_hostile_body_is_unreadable_and_its_bytes_stay_out_of_the_message(body: bytes) -> None:
    started = monotonic()

    with pytest.raises(UnverifiedError) as caught:
        read(body)

    assert monotonic() - started < 5, "with time to spare for a busy machine"
    assert "hunter2" not in str(caught.value)
    assert len(str(caught.value)) < 200
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "details",
    ['"a":"\\\\u0000"', '"a":"\\\\\\\\u0000"', '"a":' + "9" * 4000, '"a":-0', '"a":[[[[{}]]]]', '"a":"\\ud83c\\udf93"'],
)
def test_what_only_looks_hostile_is_read(details: str) -> None:
    content = json.loads(f'{{"provider_ref":"r","raw_data":{{{details}}},"status":"paid"}}')

    (event,) = read(json.dumps(sign(content, SECRET)).encode())

    assert json.loads(event.raw) == content


def test_a_webhook_is_read_the_same_at_any_depth_of_the_stack() -> None:
    """A worker has a deeper stack than a test: the bound is ours, not the interpreter's."""
    body = with_details('"a":' + "[" * 40 + "]" * 40)

    def deeper(levels: int) -> Any:
        return deeper(levels - 1) if levels else read(body)

    (event,) = deeper(sys.getrecursionlimit() // 2)
    assert event.provider_ref == "r"


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_a_changed_webhook_never_verifies_unless_it_means_the_same(data: st.DataObject) -> None:
    body = bytearray(VERIFIED)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(body)))
        match data.draw(st.sampled_from(["change", "drop", "insert"])):
            case "change":
                body[place : place + 1] = data.draw(st.binary(min_size=1, max_size=1))
            case "drop":
                del body[place : place + data.draw(st.integers(1, 8))]
            case "insert":
                body[place:place] = data.draw(st.binary(min_size=1, max_size=8))
    try:
        events = read(bytes(body))
    except UnverifiedError:
        return
    assert parse_object(bytes(body)) == parse_object(VERIFIED)
    assert events == read(VERIFIED)


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=200),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
        ).map(lambda value: json.dumps(value).encode()),
    )
)
@example(b'{"signature":"\\ud800"}')
def test_anything_at_all_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnverifiedError):
        read(body)
