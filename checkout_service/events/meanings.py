"""When each type of event is written, in words: the API's document and docs/events.md have them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

MEANINGS: Final[Mapping[str, str]] = {
    "checkout.session.opened": "A customer opened a checkout session: something is to be paid.",
    "checkout.session.expired": "A session ended unpaid: its time was over, and no money came.",
    "checkout.session.canceled": "A session was canceled, and no money came.",
    "payment.processing": "A try to pay is under way.",
    "payment.authorized": "The money is promised and can be captured; none came.",
    "payment.paid": "The money came, for the first time. Once in a payment's life.",
    "payment.partially_paid": "Less came than is due.",
    "payment.failed": "The last try to pay failed, and nothing is under way.",
    "payment.canceled": "The payment can no longer be paid: somebody canceled it.",
    "payment.expired": "The payment can no longer be paid: its time, or its authorization's, was over.",
    "payment.voided": "What was authorized was given back without a capture.",
    "payment.reversed": "All that came went again by disputes or undone captures.",
    "payment.reinstated": "It is paid again, after money had gone or was missing: do not ship again.",
    "payment.flagged": "There is one more reason for which a person has to look at it (`review_reasons`).",
    "capture.succeeded": "Money came by a capture; once more if the same capture brings more.",
    "capture.failed": "A capture was refused or undone (the object is a `capture`), or one that staff asked for was "
    "not made (a `capture_request`).",
    "refund.requested": "Somebody asked for a refund.",
    "refund.succeeded": "The money was given back; also by a refund that was made in the provider's dashboard.",
    "refund.failed": "A refund was not made, or the customer's bank sent the money back.",
    "dispute.opened": "A customer or their bank disputes a payment.",
    "dispute.updated": "Something of a dispute changed that no other type tells.",
    "dispute.funds_withdrawn": "A dispute took its money.",
    "dispute.funds_reinstated": "A dispute gave its money back.",
    "dispute.evidence_due": "A dispute needs a response, and the time for evidence ends soon.",
    "dispute.won": "A dispute was decided for the shop.",
    "dispute.lost": "A dispute was decided against the shop.",
    "dispute.accepted": "The shop accepted a dispute.",
    "dispute.expired": "Nobody responded to a dispute in time.",
    "order.placed": "An order is complete and can be sent. Also one that was short or on hold before.",
    "order.partially_fulfilled": "A part of an order was handed over.",
    "order.fulfilled": "All of an order was handed over.",
    "order.canceled": "An order was canceled.",
    "order.short": "An order was paid, and there are too few pieces for it.",
    "order.on_hold": "Do not send it: its payment was reversed, or has an open chargeback.",
    "authorization.expiring": "What is authorized ends soon: capture it before.",
    "stock.low": "Few pieces of a listing are left.",
    "stock.sold_out": "No piece of a listing is left.",
    "payout.reconciled": "A payout came out even, or so far as an operator accepted (`residue`): all that it is made "
    "of is known and matched, or nobody can list that and its account's balance adds up. Once more if it had not "
    "meanwhile.",
    "payout.reopened": "A payout that had come out even no longer does (`state`): its lines or its amount changed, a "
    "line needs a person, or what was settled was undone.",
    "payout.failed": "A payout failed or was canceled (`status`). It can have been reconciled before: then what it was "
    "made of was paid, and its money came back.",
    "settlement.exception": "Lines of a report, or what is missing in it, need a person: one for each payout, kind and "
    "currency, with their number and sum.",
    "webhook_endpoint.suspended": "An endpoint takes nothing: it is tried now and then, and nothing is given up.",
    "webhook_endpoint.disabled": "Nothing more is sent to an endpoint until somebody enables it.",
    "webhook_endpoint.lagging_out": "Events that an endpoint has not taken will be dropped in a day.",
    "webhook_endpoint.lost": "Events that an endpoint had not taken were dropped.",
    "webhook_endpoint.test": "Somebody asked for a test event of this endpoint. It is in no list and has no number.",
}
