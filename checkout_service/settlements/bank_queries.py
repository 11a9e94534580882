"""The statements by which a bank's entries are matched with payouts."""

from __future__ import annotations

from typing import Final

from checkout_service.settlement_words import BANK, MatchState, PayoutStatus

DAYS_BEFORE: Final = 1
BUSINESS_DAYS_AFTER: Final = 5
"""Days around a payout's arrival in which an entry of its amount may be it."""

_MANY: Final = 20
"""So many payouts of one amount are looked at one by one, and no more."""

_NAMED: Final = 5
"""Payouts that a proposal names."""

_RECOMPUTED: Final = "recomputed"

OF_FILE: Final = f"""
    SELECT id, withdrawn_by IS NULL AS is_current FROM balance_entries
    WHERE provider = '{BANK}' AND (file_id = %(file)s OR withdrawn_by = %(file)s)
"""  # noqa: S608 (only our own constants)

UNDO_WITHDRAWN: Final = """
    UPDATE settlement_matches AS known
    SET undone_at = now(), undone_why = 'a later file has it no more, or otherwise', updated_at = now()
    FROM balance_entries AS entry
    WHERE entry.withdrawn_by = %(file)s AND known.entry_id = entry.id AND known.undone_at IS NULL
"""

# What has another version needs nobody.
OPEN_WITHDRAWN: Final = f"""
    INSERT INTO settlement_matches (provider, account, entry_id, state, amount, currency, detail, file_id)
    SELECT entry.provider, entry.account, entry.id, '{MatchState.WITHDRAWN}', entry.net, entry.currency,
        'a later file has it no more', entry.withdrawn_by
    FROM balance_entries AS entry
    WHERE entry.withdrawn_by = %(file)s AND NOT EXISTS (
        SELECT FROM balance_entries AS current
        WHERE current.provider = entry.provider AND current.account = entry.account
            AND current.entry_ref = entry.entry_ref AND current.withdrawn_by IS NULL)
"""  # noqa: S608 (only our own constants)

CLOSE_WITHDRAWN: Final = f"""
    UPDATE settlement_matches AS known
    SET undone_at = now(), undone_why = 'a later file has it again', updated_at = now()
    FROM balance_entries AS entry
    JOIN balance_entries AS current ON current.provider = entry.provider AND current.account = entry.account
        AND current.entry_ref = entry.entry_ref AND current.file_id = %(file)s AND current.withdrawn_by IS NULL
    WHERE known.state = '{MatchState.WITHDRAWN}' AND known.undone_at IS NULL AND known.resolved_at IS NULL
        AND known.entry_id = entry.id AND entry.withdrawn_by IS NOT NULL AND known.provider = '{BANK}'
"""  # noqa: S608 (only our own constants)

# What was matched before, also by somebody who undid it since: its payout has to be added up again.
PAYOUTS_OF: Final = """
    SELECT DISTINCT payout_id FROM settlement_matches WHERE entry_id = ANY (%(entries)s) AND payout_id IS NOT NULL
"""

# What an operator ended is tied as well: the entry has to be decided anew.
PAIRS: Final = """
    SELECT entry_id, payout_id FROM settlement_matches
    WHERE entry_id = ANY (%(entries)s) AND payout_id IS NOT NULL AND (undone_at IS NULL OR undone_by IS NOT NULL)
"""

ENTRIES_OF: Final = f"""
    SELECT DISTINCT entry.id FROM settlement_matches AS matched
    JOIN balance_entries AS entry ON entry.id = matched.entry_id
    WHERE matched.payout_id = ANY (%(payouts)s) AND entry.provider = '{BANK}' AND entry.withdrawn_by IS NULL
"""  # noqa: S608 (only our own constants)

# Entries that may be proposed for these payouts, or are, or are proposed for several of which these may be one.
OF_AMOUNT: Final = f"""
    SELECT entry.id FROM payouts AS payout JOIN balance_entries AS entry
        ON entry.currency = payout.currency AND entry.net = payout.amount
        AND entry.occurred_at BETWEEN payout.arrival_on - {DAYS_BEFORE + 1} AND payout.arrival_on + 9
    WHERE payout.id = ANY (%(payouts)s) AND entry.provider = '{BANK}' AND entry.withdrawn_by IS NULL
    UNION
    SELECT matched.entry_id FROM settlement_matches AS matched
    JOIN balance_entries AS entry ON entry.id = matched.entry_id AND entry.withdrawn_by IS NULL
    WHERE matched.state = '{MatchState.PROPOSED}' AND matched.undone_at IS NULL AND matched.resolved_at IS NULL
        AND matched.provider = '{BANK}' AND (matched.payout_id IS NULL OR matched.payout_id = ANY (%(payouts)s))
"""  # noqa: S608 (only our own constants)

LOCK: Final = "SELECT id FROM payouts WHERE id = ANY (%(payouts)s) ORDER BY id FOR NO KEY UPDATE"

DECIDED: Final = """
    SELECT DISTINCT entry_id FROM settlement_matches
    WHERE entry_id = ANY (%(entries)s) AND undone_at IS NULL AND (made_by IS NOT NULL OR resolved_at IS NOT NULL)
"""

# What each entry is of each payout that it names: the whole entry where it names one, or where one has its amount; each
# payout's amount where several add up to it; else nobody can say. Then all entries of a payout together, those included
# that a person matched: they are its amount, or nothing where it came back.
BY_REFERENCE: Final = f"""
    WITH link AS (
        SELECT link.entry_id, link.payout_id, entry.net, entry.currency, payout.amount,
            payout.currency AS payout_currency,
            entry.currency = payout.currency AS is_same_currency
        FROM unnest(%(entries)s::uuid[], %(payouts)s::uuid[]) AS link (entry_id, payout_id)
        JOIN balance_entries AS entry ON entry.id = link.entry_id
        JOIN payouts AS payout ON payout.id = link.payout_id
    ), counted AS (
        SELECT *, count(*) OVER same AS payouts, bool_and(is_same_currency) OVER same AS are_same_currency,
            sum(amount) OVER same AS total,
            count(*) FILTER (WHERE is_same_currency AND amount = net) OVER same AS exact
        FROM link WINDOW same AS (PARTITION BY entry_id)
    ), part AS (
        SELECT entry_id, payout_id, net, currency, amount AS payout_amount, payout_currency, is_same_currency, payouts,
            CASE WHEN payouts = 1 AND is_same_currency OR exact = 1 THEN net
                WHEN are_same_currency AND total = net THEN amount END AS amount
        FROM counted WHERE payouts = 1 OR exact <> 1 OR (is_same_currency AND amount = net)
    ), seen AS (
        SELECT payout_id, amount, payout_amount FROM part WHERE amount IS NOT NULL
        UNION ALL
        SELECT matched.payout_id, matched.amount, payout.amount
        FROM settlement_matches AS matched
        JOIN balance_entries AS entry ON entry.id = matched.entry_id AND entry.withdrawn_by IS NULL
        JOIN payouts AS payout ON payout.id = matched.payout_id AND payout.currency = matched.currency
        WHERE matched.payout_id IN (SELECT payout_id FROM part) AND matched.undone_at IS NULL
            AND matched.provider = '{BANK}' AND (matched.made_by IS NOT NULL OR matched.resolved_at IS NOT NULL)
            AND matched.state IN ('{MatchState.MATCHED}', '{MatchState.DIFFERS}') AND matched.amount IS NOT NULL
    ), added AS (
        SELECT payout_id, sum(amount) AS total, count(*) AS entries,
            count(*) FILTER (WHERE sign(amount) = -sign(payout_amount)) AS returns,
            count(*) FILTER (WHERE amount = payout_amount) - count(*) FILTER (WHERE amount = -payout_amount) AS wholes
        FROM seen GROUP BY payout_id
    )
    SELECT part.entry_id, part.payout_id,
        CASE WHEN part.amount IS NULL THEN '{MatchState.DIFFERS}'
            WHEN added.total = part.payout_amount OR (added.total = 0 AND added.returns > 0) THEN '{MatchState.MATCHED}'
            WHEN abs(part.amount) = abs(part.payout_amount) AND added.wholes IN (0, 1) THEN '{MatchState.MATCHED}'
            ELSE '{MatchState.DIFFERS}' END AS state,
        part.amount, part.currency, part.payout_amount, part.payout_currency,
        CASE WHEN NOT part.is_same_currency THEN '{{currency}}'::text[]
            WHEN part.amount IS NULL THEN '{{amount}}'::text[]
            WHEN added.total = part.payout_amount OR (added.total = 0 AND added.returns > 0)
                OR (abs(part.amount) = abs(part.payout_amount) AND added.wholes IN (0, 1)) THEN '{{}}'::text[]
            ELSE '{{amount}}'::text[] END AS differs,
        CASE WHEN NOT part.is_same_currency THEN 'the bank has it in another currency'
            WHEN part.amount IS NULL THEN 'names ' || part.payouts || ' payouts, which do not add up to it'
            WHEN part.payouts > 1 AND part.amount <> part.net THEN 'one of ' || part.payouts || ' payouts of this entry'
            WHEN sign(part.amount) = -sign(part.payout_amount) THEN 'the payout came back'
            WHEN added.entries > 1
                THEN 'one of ' || added.entries || ' entries of this payout, together ' || added.total
            ELSE '' END AS detail
    FROM part LEFT JOIN added USING (payout_id)
"""  # noqa: S608 (only our own constants)

# Payouts of one amount are counted by the days on which they may arrive, so that many alike are one row.
BY_AMOUNT: Final = f"""
    WITH entry AS MATERIALIZED (
        SELECT id, net, currency, left(occurred_local, 10)::date AS day, description
        FROM balance_entries WHERE id = ANY (%(entries)s)
    ), alike AS MATERIALIZED (
        SELECT payout.currency, payout.amount, day.day::date AS day, count(*) AS payouts,
            (array_agg(payout.id ORDER BY payout.provider, payout.account, payout.payout_ref))[1:{_MANY}] AS ids
        FROM payouts AS payout
        CROSS JOIN LATERAL generate_series(
            payout.arrival_on - {DAYS_BEFORE},
            payout.arrival_on + CASE extract(isodow FROM payout.arrival_on)
                WHEN 6 THEN {BUSINESS_DAYS_AFTER + 1} WHEN 7 THEN {BUSINESS_DAYS_AFTER}
                ELSE {BUSINESS_DAYS_AFTER + 2} END,
            interval '1 day'
        ) AS day (day)
        WHERE payout.arrival_on BETWEEN (SELECT min(day) FROM entry) - 9 AND (SELECT max(day) FROM entry) + 2
            AND payout.amount_at_bank IS DISTINCT FROM payout.amount AND payout.status <> '{PayoutStatus.CANCELED}'
            AND (payout.currency, payout.amount) IN (SELECT currency, net FROM entry)
        GROUP BY payout.currency, payout.amount, day.day
    ), found AS (
        SELECT entry.id AS entry_id, entry.net, entry.currency, coalesce(candidate.payouts, 0) AS payouts,
            candidate.ids, candidate.refs, candidate.described
        FROM entry
        LEFT JOIN alike ON alike.currency = entry.currency AND alike.amount = entry.net AND alike.day = entry.day
        LEFT JOIN LATERAL (
            SELECT CASE WHEN alike.payouts > {_MANY} THEN alike.payouts ELSE count(*) END AS payouts,
                array_agg(payout.id ORDER BY payout.provider, payout.account, payout.payout_ref) AS ids,
                array_agg(payout.payout_ref ORDER BY payout.provider, payout.account, payout.payout_ref) AS refs,
                array_agg(payout.id) FILTER (
                    WHERE length(payout.descriptor) > 4
                        AND strpos(upper(entry.description), upper(payout.descriptor)) > 0
                ) AS described
            FROM payouts AS payout
            WHERE payout.id = ANY (alike.ids) AND NOT EXISTS (
                SELECT FROM settlement_matches AS ended
                WHERE ended.entry_id = entry.id AND ended.payout_id = payout.id AND ended.undone_by IS NOT NULL)
        ) AS candidate ON alike.ids IS NOT NULL
    ), judged AS (
        SELECT found.*, coalesce(several.payouts, 0) AS named,
            CASE WHEN found.payouts = 1 THEN ids[1]
                WHEN found.payouts <= {_MANY} AND cardinality(described) = 1 THEN described[1] END AS payout_id
        FROM found
        LEFT JOIN unnest(%(named)s::uuid[], %(counts)s::integer[]) AS several (entry_id, payouts) USING (entry_id)
    )
    SELECT judged.entry_id, judged.payout_id,
        CASE WHEN payouts = 0 AND named = 0 THEN '{MatchState.NOT_OURS}' ELSE '{MatchState.PROPOSED}' END AS state,
        judged.net AS amount, judged.currency, payout.amount AS payout_amount, payout.currency AS payout_currency,
        '{{}}'::text[] AS differs,
        CASE WHEN named > 0 AND payouts = 0 THEN named || ' payouts of this reference'
            WHEN payouts = 0 THEN ''
            WHEN payouts = 1 THEN 'the amount alone'
            ELSE payouts || ' payouts of this amount: ' || array_to_string(refs[1:{_NAMED}], ', ')
                || CASE WHEN payouts > {_NAMED} THEN ', …' ELSE '' END END AS detail
    FROM judged LEFT JOIN payouts AS payout ON payout.id = judged.payout_id
"""  # noqa: S608 (only our own constants)

_ROWS: Final = """
    unnest(%(entries)s::uuid[], %(payouts)s::uuid[], %(states)s::settlement_match_state[], %(amounts)s::numeric[],
        %(currencies)s::text[], %(payout_amounts)s::numeric[], %(payout_currencies)s::text[], %(differs)s::text[],
        %(details)s::text[])
    AS made (entry_id, payout_id, state, amount, currency, amount_here, currency_here, differs, detail)
"""

_SAME: Final = """
    matched.entry_id = made.entry_id AND matched.payout_id IS NOT DISTINCT FROM made.payout_id
    AND matched.state = made.state AND matched.amount IS NOT DISTINCT FROM made.amount
    AND matched.currency IS NOT DISTINCT FROM made.currency
    AND matched.amount_here IS NOT DISTINCT FROM made.amount_here
    AND matched.currency_here IS NOT DISTINCT FROM made.currency_here
    AND matched.differs = string_to_array(made.differs, ',') AND matched.detail = made.detail
"""

UNDO: Final = f"""
    UPDATE settlement_matches AS matched SET undone_at = now(), undone_why = '{_RECOMPUTED}', updated_at = now()
    WHERE matched.entry_id = ANY (%(scope)s) AND matched.undone_at IS NULL AND matched.made_by IS NULL
        AND matched.resolved_at IS NULL AND matched.state = ANY (%(of)s::settlement_match_state[])
        AND NOT EXISTS (SELECT FROM {_ROWS} WHERE {_SAME})
"""  # noqa: S608 (only our own constants)

MAKE: Final = f"""
    INSERT INTO settlement_matches (provider, account, entry_id, payout_id, state, amount, currency, amount_here,
        currency_here, differs, detail, file_id)
    SELECT entry.provider, entry.account, made.entry_id, made.payout_id, made.state, made.amount, made.currency,
        made.amount_here, made.currency_here, string_to_array(made.differs, ','), made.detail, entry.file_id
    FROM {_ROWS} JOIN balance_entries AS entry ON entry.id = made.entry_id
    WHERE NOT EXISTS (SELECT FROM settlement_matches AS matched WHERE matched.undone_at IS NULL AND {_SAME})
"""  # noqa: S608 (only our own constants)

ADD_UP: Final = f"""
    UPDATE payouts AS payout SET amount_at_bank = added.amount, version = payout.version + 1, updated_at = now()
    FROM (
        SELECT listed.id, sum(matched.amount) FILTER (WHERE entry.id IS NOT NULL) AS amount
        FROM unnest(%(payouts)s::uuid[]) AS listed (id)
        JOIN payouts AS payout ON payout.id = listed.id
        LEFT JOIN settlement_matches AS matched ON matched.payout_id = listed.id AND matched.undone_at IS NULL
            AND matched.provider = '{BANK}' AND matched.state IN ('{MatchState.MATCHED}', '{MatchState.DIFFERS}')
            AND matched.currency = payout.currency
        LEFT JOIN balance_entries AS entry ON entry.id = matched.entry_id AND entry.withdrawn_by IS NULL
        GROUP BY listed.id
    ) AS added
    WHERE payout.id = added.id AND payout.amount_at_bank IS DISTINCT FROM added.amount
"""  # noqa: S608 (only our own constants)
