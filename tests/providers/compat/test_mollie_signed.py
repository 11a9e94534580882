"""Mollie's signed webhooks against what its own verifier makes of them.

mollie-api-py owns files of mollie-api-python, which the tests beside these use, so that it cannot be installed here
(findings/mollie-packages-overwrite-each-other.sh). What stands below was computed with its version 1.10.20.
"""

from __future__ import annotations

import pytest

from checkout_service.providers.base import UnreadableError, UnverifiedError
from tests.providers.kits.kit import SignedWebhook
from tests.providers.kits.mollie import KIT, SECRETS, event_body, sign, signature

EVENT = b'{"resource":"event","id":"event_GvJ8WHrp5isUdRub9CJyH","type":"payment.paid","entityId":"tr_7UhSN1zuXS"}'
CREATED = {
    EVENT: "e7e902395de9c0bb95d2a5620f4515ef6541b5d3874b965eb5ce9fbb899ffd82",
    '{"note":"größe, ✓"}'.encode(): "2b13bd6efb2ad36910ce59c538dbd5d63853469195a3ca2868f88a0a3b105541",
    b"": "d139dc04ea67bf9014025d8020f78d0acdecb74a6d84294758a675d7d2672dcc",
}
"""``SignatureValidator.create_signature(body, SECRETS[0])``."""


def taken_for_signed(body: bytes, header: str | None, *secrets: str) -> bool:
    """Whether we take the webhook for signed; what is in it is no matter."""
    headers = {"content-type": "application/json"} | ({} if header is None else {"x-mollie-signature": header})
    try:
        KIT.provider(*secrets).verify_and_parse(SignedWebhook(body=body, headers=headers).raw("mollie"))
    except UnreadableError:
        return True
    except UnverifiedError:
        return False
    return True


@pytest.mark.parametrize("body", CREATED)
def test_what_their_verifier_signs_is_signed(body: bytes) -> None:
    assert signature(body, SECRETS[0]) == f"sha256={CREATED[body]}", "our stand-in signs as they do"
    for header in (f"sha256={CREATED[body]}", CREATED[body]):
        assert taken_for_signed(body, header, SECRETS[0]), "the prefix is optional for them"
        assert taken_for_signed(body, header, *reversed(SECRETS))
        assert not taken_for_signed(body + b" ", header, SECRETS[0])
        assert not taken_for_signed(body, header, SECRETS[1])


def test_where_we_differ_from_their_verifier() -> None:
    """It returns False without a signature, which is no refusal; it takes an empty secret; and it refuses two
    signatures in one text, which is what WSGI makes of two headers."""
    good, old = signature(EVENT, SECRETS[0]), signature(EVENT, "an older secret")
    assert not taken_for_signed(EVENT, None, SECRETS[0])
    assert not taken_for_signed(EVENT, signature(EVENT, ""), "")
    for joined in (f"{old},{good}", f"{good}, {old}"):
        assert taken_for_signed(EVENT, joined, SECRETS[0])
    assert not taken_for_signed(EVENT, f"{old},{old}", SECRETS[0])


def test_each_word_of_theirs_for_our_movements_leads_to_a_look_up() -> None:
    """``WebhookEventTypes``; what else stands there is of no use to us."""
    words = {
        "payment": ("tr_7UhSN1zuXS", ["paid", "authorized", "failed", "canceled", "expired", "pending"]),
        "refund": ("re_4qqhO89gsT", ["queued", "pending", "processing", "refunded", "failed", "canceled"]),
        "chargeback": ("chb_n9z0tp", ["received", "reversed"]),
        "capture": ("cpt_gVMhHKqSSRYJyPsuoPNFH", ["succeeded", "failed"]),
    }
    link = "https://api.mollie.com/v2/payments/tr_7UhSN1zuXS"
    for family, (entity_id, kinds) in words.items():
        for kind in kinds:
            webhook = sign(event_body(f"{family}.{kind}", entity_id, link=link))
            (event,) = KIT.provider(SECRETS[0]).verify_and_parse(webhook.raw("mollie")).events
            assert event.provider_ref == "tr_7UhSN1zuXS"
