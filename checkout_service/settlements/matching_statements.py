"""The statements of matching: what of ours an entry is about, and what comes of all entries about the same.

Everything is computed of the entries that are there now, and never stepped from what it was: so however the same
entries were split into files, and in whichever order these came, the same comes of them.
"""

from __future__ import annotations

from typing import Final

from checkout_service.settlement_words import EntryKind

FAR: Final = "31 days"
"""By how much the first entry about something may be away from ours. Providers book within days; invoices and cards
that are charged on shipping within a month. What is farther is of another order that got the same name."""

_SUBJECTS: Final = {
    EntryKind.CAPTURE: "capture",
    EntryKind.RELEASE: "capture",
    EntryKind.REFUND: "refund",
    EntryKind.REFUND_FAILURE: "refund",
    EntryKind.DISPUTE: "dispute",
    EntryKind.DISPUTE_REVERSAL: "dispute",
}
"""Kinds that something of ours has to be behind."""

MATCHED_KINDS: Final = [*(kind.value for kind in _SUBJECTS), EntryKind.FEE.value, EntryKind.UNKNOWN.value]
"""Kinds of which something comes. The others need no counterpart of ours."""

SOUGHT: Final = (
    "CASE "
    + " ".join(f"WHEN entry.kind = '{kind}' THEN '{subject}'" for kind, subject in _SUBJECTS.items())
    + " ELSE entry.about::text END"
)

# What ours has to come to is ``here``, signed as it moves the balance. Where its next news and the next line may come
# in either order, ``here_too`` is what it may come to as well. A dispute without an amount is matched by its name.
CAPTURE: Final = """capture.id, capture.payment_id,
            CASE WHEN capture.status < 'succeeded' THEN 0 ELSE capture.amount END AS here,
            CASE WHEN capture.status = 'undone' THEN 0 END AS here_too,
            capture.currency::text AS currency_here, capture.created_at AS made_at"""

REFUND: Final = """refund.id, refund.payment_id, -refund.amount AS here,
            CASE WHEN refund.status = 'failed' THEN 0 END AS here_too,
            refund.currency::text AS currency_here, refund.created_at AS made_at"""

DISPUTE: Final = """dispute.id, dispute.payment_id,
            CASE WHEN dispute.money_step > 0 AND NOT dispute.money_out THEN 0 ELSE -dispute.amount END AS here,
            CASE WHEN dispute.money_step = 0 THEN 0 WHEN NOT dispute.money_out THEN -dispute.amount END AS here_too,
            dispute.currency::text AS currency_here, dispute.created_at AS made_at"""

# By name; else by what the names say of the payment or of its authorisation, where one thing alone can be meant. Each
# is looked up by an index, whatever the planner believes of tables that were empty a moment ago.
_PLACED: Final = f"""
    SELECT entry.*, sought.subject,
        coalesce(named.id, CASE WHEN meant.number = 1 THEN meant.id END) AS subject_id,
        coalesce(named.payment_id, place.payment_id) AS payment_id,
        CASE WHEN named.id IS NOT NULL THEN named.here ELSE meant.here END AS here,
        CASE WHEN named.id IS NOT NULL THEN named.here_too ELSE meant.here_too END AS here_too,
        coalesce(named.currency_here, meant.currency_here) AS currency_here,
        coalesce(named.made_at, meant.made_at) AS made_at,
        coalesce(meant.number, 0) AS meant
    FROM ({{entries}}) AS entry
    CROSS JOIN LATERAL (SELECT {SOUGHT}) AS sought (subject)
    LEFT JOIN LATERAL (
        SELECT {CAPTURE} FROM captures AS capture
        WHERE sought.subject = 'capture' AND entry.subject_ref <> ''
            AND capture.provider = entry.provider AND capture.capture_ref = entry.subject_ref
        UNION ALL
        SELECT {REFUND} FROM refunds AS refund
        WHERE sought.subject = 'refund' AND entry.subject_ref <> ''
            AND refund.provider = entry.provider AND refund.provider_ref = entry.subject_ref
        UNION ALL
        SELECT {DISPUTE} FROM disputes AS dispute
        WHERE sought.subject = 'dispute' AND entry.subject_ref <> '' AND dispute.dispute_ref <> ''
            AND dispute.provider = entry.provider AND dispute.dispute_ref = entry.subject_ref
    ) AS named ON true
    LEFT JOIN LATERAL (
        SELECT attempt.payment_id, attempt.attempt_ref FROM payment_attempts AS attempt
        WHERE named.id IS NULL AND attempt.provider = entry.provider AND attempt.attempt_ref <> ''
            AND attempt.attempt_ref = ANY(ARRAY[entry.subject_ref, entry.payment_ref])
        UNION ALL
        SELECT payment.id, NULL FROM payments AS payment
        WHERE named.id IS NULL AND payment.provider = entry.provider AND payment.provider_ref <> ''
            AND payment.provider_ref = ANY(ARRAY[entry.payment_ref, entry.subject_ref])
        LIMIT 1
    ) AS place ON true
    LEFT JOIN LATERAL (
        SELECT count(*) OVER () AS number, item.* FROM (
            SELECT {CAPTURE} FROM captures AS capture
            WHERE sought.subject = 'capture' AND capture.payment_id = place.payment_id AND capture.status >= 'succeeded'
                AND (place.attempt_ref IS NULL OR capture.attempt_ref = ANY(ARRAY[place.attempt_ref, '']))
            UNION ALL
            SELECT attempt.id, attempt.payment_id, attempt.amount_presumed, NULL, attempt.currency::text,
                attempt.created_at
            FROM payment_attempts AS attempt
            WHERE sought.subject = 'capture' AND attempt.payment_id = place.payment_id
                AND (place.attempt_ref IS NULL OR attempt.attempt_ref = place.attempt_ref)
                AND attempt.amount_presumed IS NOT NULL AND attempt.status < 'expired'
                AND NOT EXISTS (SELECT FROM captures AS capture
                    WHERE capture.payment_id = attempt.payment_id AND capture.status >= 'succeeded'
                        AND capture.attempt_ref = attempt.attempt_ref)
                AND (attempt.attempt_ref <> ''
                    OR NOT EXISTS (SELECT FROM captures AS capture
                        WHERE capture.payment_id = attempt.payment_id AND capture.status >= 'succeeded')
                    AND NOT EXISTS (SELECT FROM payment_attempts AS other
                        WHERE other.payment_id = attempt.payment_id AND other.attempt_ref <> ''
                            AND other.amount_presumed IS NOT NULL AND other.status < 'expired'))
            UNION ALL
            SELECT {REFUND} FROM refunds AS refund
            WHERE sought.subject = 'refund' AND refund.payment_id = place.payment_id
            UNION ALL
            SELECT {DISPUTE} FROM disputes AS dispute
            WHERE sought.subject = 'dispute' AND dispute.payment_id = place.payment_id
        ) AS item
        ORDER BY item.id LIMIT 1
    ) AS meant ON true
"""  # noqa: S608 (only our own constants)

# Of all entries about the same. In the customer's currency where a line says it, else in the balance's; where it is
# neither of them, by name alone: no rate of ours says what it has to be.
_SUMMED: Final = f"""
    SELECT placed.*,
        sum(placed.there) OVER same AS there_sum,
        bool_or(placed.there IS NULL) OVER same AS is_converted,
        bool_or(placed.there IS NULL AND placed.customer_currency IS NOT NULL) OVER same AS is_foreign,
        sum(placed.gross) OVER same AS gross_sum,
        min(placed.occurred_at) OVER same AS first_at
    FROM (
        SELECT placed.*, CASE
            WHEN placed.customer_currency = placed.currency_here THEN
                abs(placed.customer_amount)
                    * CASE WHEN placed.gross = 0 THEN sign(placed.customer_amount) ELSE sign(placed.gross) END
            WHEN placed.currency = placed.currency_here THEN placed.gross END AS there
        FROM ({_PLACED}) AS placed
    ) AS placed
    WINDOW same AS (
        PARTITION BY placed.subject_id,
            placed.kind IN ('fee', 'unknown') OR placed.subject_id IS NULL,
            CASE WHEN placed.kind IN ('fee', 'unknown') OR placed.subject_id IS NULL THEN placed.id END)
"""  # noqa: S608 (only our own constants)

COMPUTED: Final = f"""
    SELECT summed.id AS entry_id, summed.provider, summed.account, summed.file_id, summed.payout_id AS of_payout,
        CASE WHEN owned.is_ours THEN summed.subject ELSE 'none' END::settlement_subject AS subject,
        CASE WHEN owned.is_ours THEN summed.subject_id END AS subject_id,
        summed.payment_id,
        CASE
            WHEN summed.kind = 'unknown' THEN 'unknown_here'
            WHEN summed.kind = 'fee' THEN CASE WHEN summed.payment_id IS NULL THEN 'unowned_fee' ELSE 'matched' END
            WHEN summed.subject_id IS NULL THEN 'unknown_here'
            WHEN cardinality(compared.differs) > 0 THEN 'differs'
            ELSE 'matched' END::settlement_match_state AS state,
        CASE WHEN owned.is_ours THEN CASE WHEN summed.is_converted THEN summed.gross_sum ELSE summed.there_sum END
            WHEN summed.kind = 'fee' THEN -summed.fee + summed.gross ELSE summed.gross END AS amount,
        CASE WHEN owned.is_ours AND NOT summed.is_converted THEN summed.currency_here ELSE summed.currency END::char(3)
            AS currency,
        CASE WHEN owned.is_ours THEN summed.here END AS amount_here,
        CASE WHEN owned.is_ours THEN summed.currency_here END::char(3) AS currency_here,
        CASE WHEN owned.is_ours THEN compared.differs ELSE '{{{{}}}}'::text[] END AS differs,
        CASE
            WHEN summed.kind = 'unknown' THEN 'type ' || summed.provider_type
            WHEN summed.kind = 'fee' THEN ''
            WHEN summed.subject_id IS NULL AND summed.meant > 1 THEN 'several of this payment may be meant'
            WHEN summed.subject_id IS NULL THEN 'no ' || summed.subject || ' of this name'
            WHEN summed.is_converted AND NOT summed.is_foreign THEN 'converted'
            ELSE '' END AS detail
    FROM ({_SUMMED}) AS summed
    CROSS JOIN LATERAL (SELECT summed.subject_id IS NOT NULL AND summed.kind NOT IN ('fee',
        'unknown')) AS owned (is_ours)
    CROSS JOIN LATERAL (SELECT array_remove(ARRAY[
        CASE WHEN NOT summed.is_converted AND summed.there_sum <> summed.here
            AND summed.there_sum IS DISTINCT FROM summed.here_too THEN 'amount' END,
        CASE WHEN summed.is_foreign THEN 'currency' END,
        CASE WHEN summed.first_at > summed.made_at + interval '{FAR}'
            -- Rows that a release made of older ones are younger than the payment.
            OR summed.first_at < summed.made_at - interval '{FAR}' AND NOT EXISTS (
                SELECT FROM payments AS payment
                WHERE payment.id = summed.payment_id AND payment.created_at <= summed.first_at + interval '{FAR}')
            THEN 'date' END
    ], NULL)) AS compared (differs)
"""  # noqa: S608 (only our own constants)
"""What comes of the entries ``entries``: a row each. Braces for ``format`` are doubled."""

ENTRY: Final = """
    entry.id, entry.provider, entry.account, entry.kind, entry.provider_type, entry.gross, entry.fee, entry.currency,
    entry.customer_amount, entry.customer_currency, entry.occurred_at, entry.payout_id, entry.about, entry.subject_ref,
    entry.payment_ref, entry.file_id
"""

INSERT: Final = """
    INSERT INTO settlement_matches (provider, account, entry_id, subject, subject_id, payment_id, state, amount,
        currency,
        amount_here, currency_here, differs, detail, file_id)
    SELECT provider, account, entry_id, subject, subject_id, payment_id, state, amount, currency,
        amount_here, currency_here, differs, detail, file_id
"""


def computed(entries: str) -> str:
    """The statement of what comes of these entries, whose columns are ENTRY."""
    return COMPUTED.replace("{entries}", entries).replace("{{}}", "{}")


def placed(entries: str) -> str:
    """The statement of what of ours these entries are about, ``subject_id`` and ``payment_id`` beside their ENTRY."""
    return _PLACED.replace("{entries}", entries)
