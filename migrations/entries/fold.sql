-- The fold: what a payment is, computed of its entries alone. Order, repetition and the split over workers cannot
-- matter, since entries are only ever joined. Whoever calls it holds the row locks of these payments.

-- The sums of payments. Money in another currency than the payment's counts nowhere; foreign_money tells of it.
-- Presumed gives way to named: money that is presumed on an attempt counts while no capture of that attempt is named.
-- Of an attempt without a name, while nothing else is named.
CREATE TYPE payment_sum AS (
    payment_id uuid, came numeric, undone numeric, taken numeric, blocked numeric, refunded numeric, refunding numeric,
    authorized numeric, under_way boolean, ended payment_status, foreign_money numeric, timed_out integer, due numeric,
    accepted numeric
);

-- What open disputes hold back: what they are about, less what was taken by movements that name no dispute (PayPal's
-- reversals), which are first those of disputes that were lost.
CREATE FUNCTION disputes_block(open numeric, taken_unnamed numeric, lost numeric) RETURNS numeric LANGUAGE sql IMMUTABLE
RETURN greatest(0, coalesce(open, 0) - greatest(0, coalesce(taken_unnamed, 0) - coalesce(lost, 0)));

-- Whether a capture's money is here. One that was undone is again once somebody accepted it after the provider had reported
-- it as captured again: no signed time tells which of the two is newer.
CREATE FUNCTION capture_counts(capture captures) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT capture.status = 'succeeded' OR capture.status = 'undone' AND EXISTS (
        SELECT FROM payment_notices AS notice JOIN payment_acceptances AS acceptance
            ON acceptance.payment_id = notice.payment_id AND acceptance.created_at >= notice.created_at
        WHERE notice.payment_id = capture.payment_id AND notice.reason = 'recaptured' AND notice.ref = capture.capture_ref)
$$;

CREATE FUNCTION payment_sums(ids uuid[]) RETURNS SETOF payment_sum LANGUAGE sql STABLE AS $$
    SELECT payment.id, money.came, captured.undone,
        coalesce(disputed.taken, CASE WHEN disputed.presumed THEN coalesce(disputed.presumed_amount, money.came) END, 0),
        disputed.blocked, given.refunded, given.refunding,
        greatest(tried.authorized - captured.of_open, 0), tried.under_way AND payment.closed IS NULL, tried.ended,
        captured.other_currency + tried.other_currency, tried.timed_out, coalesce(acceptance.amount, payment.amount),
        acceptance.amount
    FROM unnest(ids) AS given_id (id)
    JOIN payments AS payment ON payment.id = given_id.id
    CROSS JOIN LATERAL (
        SELECT
            coalesce(sum(capture.amount) FILTER (WHERE capture.attempt_ref <> '' AND ours), 0) AS of_attempts,
            coalesce(sum(capture.amount) FILTER (WHERE capture.attempt_ref = '' AND ours), 0) AS of_none,
            coalesce(sum(capture.amount) FILTER (WHERE capture.status = 'undone' AND ours AND NOT capture_counts(capture)), 0)
                AS undone,
            coalesce(sum(capture.amount) FILTER (WHERE NOT ours), 0) AS other_currency,
            coalesce(sum(capture.amount) FILTER (WHERE ours AND (capture.attempt_ref = '' OR EXISTS (
                SELECT FROM payment_attempts AS attempt
                WHERE attempt.payment_id = payment.id AND attempt.attempt_ref = capture.attempt_ref
                    AND attempt.status = 'authorized' AND NOT attempt.rest_released
            ))), 0) AS of_open
        FROM captures AS capture CROSS JOIN LATERAL (SELECT capture.currency = payment.currency) AS same (ours)
        WHERE capture.payment_id = payment.id AND capture.status >= 'succeeded'
    ) AS captured
    CROSS JOIN LATERAL (
        SELECT
            coalesce(sum(attempt.amount_presumed) FILTER (WHERE attempt.attempt_ref <> '' AND presumes AND ours), 0)
                AS presumed,
            coalesce(sum(attempt.amount_presumed) FILTER (WHERE attempt.attempt_ref = '' AND presumes AND ours), 0)
                AS presumed_unnamed,
            coalesce(sum(attempt.amount_presumed) FILTER (WHERE presumes AND NOT ours), 0) AS other_currency,
            -- An order of PayPal's is authorized once: whatever else is open stands in the place of the first one.
            coalesce(CASE WHEN payment.provider = 'paypal'
                THEN max(coalesce(attempt.amount_authorized, payment.amount)) FILTER (WHERE open AND ours)
                ELSE sum(coalesce(attempt.amount_authorized, payment.amount)) FILTER (WHERE open AND ours) END, 0)
                AS authorized,
            coalesce(bool_or(runs AND attempt.given_up_at IS NULL), false) AS under_way,
            (count(*) FILTER (WHERE runs AND attempt.given_up_at IS NOT NULL))::integer AS timed_out,
            max(attempt.status::text::payment_status)
                FILTER (WHERE attempt.status IN ('failed', 'expired', 'canceled')) AS ended
        FROM payment_attempts AS attempt
        CROSS JOIN LATERAL (SELECT
            coalesce(attempt.currency = payment.currency, true),
            attempt.status < 'expired' AND attempt.amount_presumed IS NOT NULL AND NOT EXISTS (
                SELECT FROM captures AS capture
                WHERE capture.payment_id = payment.id AND capture.attempt_ref = attempt.attempt_ref
                    AND capture.status >= 'succeeded'),
            attempt.status = 'authorized' AND attempt.amount_presumed IS NULL AND NOT attempt.rest_released
                AND NOT EXISTS (SELECT FROM payment_attempts AS newer
                    WHERE newer.payment_id = payment.id AND newer.replaces = attempt.attempt_ref),
            -- One by which money came is over, and one that the provider named no more when it was asked. One that was
            -- given up is so for good, whatever look-ups go on to tell of it: only another status of it is news. One
            -- without a name gives way to one with a name that was authorized, or that failed later.
            attempt.status = 'under_way' AND attempt.amount_presumed IS NULL
                AND attempt.reported_at >= coalesce(payment.looked_up_at, '-infinity') AND NOT EXISTS (
                SELECT FROM captures AS capture
                WHERE capture.payment_id = payment.id AND capture.attempt_ref = attempt.attempt_ref
                    AND capture.status >= 'succeeded')
                AND NOT (attempt.attempt_ref = '' AND EXISTS (
                    SELECT FROM payment_attempts AS named
                    WHERE named.payment_id = payment.id AND named.attempt_ref <> '' AND (named.status >= 'authorized'
                        OR named.status = 'failed' AND named.reported_at >= attempt.reported_at)))
        ) AS read (ours, presumes, open, runs)
        WHERE attempt.payment_id = payment.id
    ) AS tried
    CROSS JOIN LATERAL (
        SELECT captured.of_attempts + CASE
            WHEN captured.of_none > 0 THEN greatest(captured.of_none, tried.presumed)
            WHEN captured.of_attempts > 0 THEN tried.presumed
            WHEN tried.presumed > 0 THEN tried.presumed
            ELSE tried.presumed_unnamed END AS came
    ) AS money
    CROSS JOIN LATERAL (
        SELECT
            sum(dispute.amount) FILTER (WHERE dispute.dispute_ref <> '' AND dispute.money_step > 0
                AND dispute.money_out AND dispute.currency = payment.currency) AS taken_named,
            disputes_block(
                sum(dispute.amount) FILTER (WHERE dispute.dispute_ref <> '' AND dispute.money_step = 0
                    AND dispute.blocks_refund AND dispute.currency = payment.currency),
                sum(dispute.amount) FILTER (WHERE dispute.money_only AND dispute.money_out
                    AND dispute.currency = payment.currency),
                sum(dispute.amount) FILTER (WHERE dispute.money_step = 0 AND dispute.status = 'lost'
                    AND dispute.currency = payment.currency)) AS blocked,
            coalesce(bool_or(dispute.dispute_ref <> '' AND dispute.money_step > 0), false) AS named,
            coalesce(bool_or(dispute.dispute_ref = '' AND dispute.money_step > 0 AND dispute.money_out), false)
                AS unnamed,
            max(dispute.amount) FILTER (WHERE dispute.dispute_ref = '') AS presumed_amount
        FROM disputes AS dispute WHERE dispute.payment_id = payment.id
    ) AS summed
    CROSS JOIN LATERAL (
        SELECT CASE WHEN summed.named THEN coalesce(summed.taken_named, 0) END AS taken, summed.blocked,
            summed.unnamed AS presumed, summed.presumed_amount
    ) AS disputed
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(refund.amount) FILTER (WHERE refund.status = 'succeeded'), 0) AS refunded,
            coalesce(sum(refund.amount) FILTER (WHERE refund.status <= 'processing'), 0) AS refunding
        FROM refunds AS refund WHERE refund.payment_id = payment.id
    ) AS given
    LEFT JOIN LATERAL (
        SELECT accepted.amount FROM payment_acceptances AS accepted
        WHERE accepted.payment_id = payment.id ORDER BY accepted.id DESC LIMIT 1
    ) AS acceptance ON true
$$;

-- The reasons for which a person has to look at payments, with the amounts that each hangs on, seen or not. Computed, so
-- that they come and go alike in any order of events.
CREATE FUNCTION payment_reasons(sums payment_sum[]) RETURNS TABLE (payment_id uuid, reason text, amounts text)
LANGUAGE sql STABLE AS $$
    WITH summed AS MATERIALIZED (SELECT * FROM unnest(sums))
    SELECT summed.payment_id, found.reason, found.amounts
    FROM summed
    JOIN payments AS payment ON payment.id = summed.payment_id
    CROSS JOIN LATERAL (
        SELECT 'mismatch' AS reason, concat_ws('/', trim_scale(summed.came), trim_scale(summed.due)) AS amounts
        WHERE summed.came > 0 AND summed.came < summed.due AND NOT summed.under_way
            AND (summed.authorized = 0 OR payment.closed IS NOT NULL) AND summed.foreign_money = 0
        UNION ALL
        SELECT 'mismatch', concat_ws('/', trim_scale(summed.came), trim_scale(summed.due),
            'other currency', trim_scale(summed.foreign_money))
        WHERE summed.foreign_money > 0
        UNION ALL
        SELECT 'overpaid', concat_ws('/', trim_scale(summed.came), trim_scale(summed.due))
        WHERE summed.came > summed.due
        UNION ALL
        SELECT 'paid_after_close', trim_scale(summed.came)::text
        WHERE payment.closed IN ('expired', 'canceled') AND summed.came > 0
        UNION ALL
        SELECT 'refund_too_large', concat_ws('/',
            trim_scale(summed.undone + summed.taken + summed.refunded + summed.refunding), trim_scale(summed.came))
        WHERE summed.undone + summed.taken + summed.refunded + summed.refunding > summed.came
        UNION ALL
        -- All that were ever given up count, so that another one is no echo of the one that was seen.
        SELECT 'attempt_timed_out', (SELECT count(*) FROM payment_attempts AS attempt
            WHERE attempt.payment_id = summed.payment_id AND attempt.given_up_at IS NOT NULL)::text
        WHERE summed.timed_out > 0 AND summed.came = 0 AND payment.closed IS NULL
        UNION ALL
        -- Likewise: all notices of a reason are counted where one of them holds.
        SELECT notice.reason, count(*)::text FROM payment_notices AS notice
        WHERE notice.payment_id = summed.payment_id
        GROUP BY notice.reason
        HAVING bool_or(CASE notice.reason
            -- No question once nothing is left of the money, or where nothing was captured of the attempt.
            WHEN 'unclear_cancellation' THEN summed.came > summed.undone + summed.taken + summed.refunded
                AND (NOT EXISTS (
                    SELECT FROM payment_attempts AS attempt
                    WHERE attempt.payment_id = notice.payment_id AND attempt.attempt_ref = notice.ref
                ) OR EXISTS (
                    SELECT FROM captures AS capture
                    WHERE capture.payment_id = notice.payment_id AND capture.attempt_ref = notice.ref
                        AND capture.status >= 'succeeded'
                ))
            WHEN 'authorization_adjusted' THEN summed.authorized > 0
            WHEN 'recaptured' THEN NOT EXISTS (
                SELECT FROM payment_acceptances AS acceptance
                WHERE acceptance.payment_id = notice.payment_id AND acceptance.created_at >= notice.created_at)
            ELSE true END)
        UNION ALL
        SELECT 'paid_twice', concat_ws('/', trim_scale(summed.came), count(*), trim_scale(sum(mate.came)))
        FROM checkout_sessions AS own
        JOIN checkout_sessions AS other ON other.cart_id = own.cart_id AND other.generation = own.generation
            AND other.payment_id <> own.payment_id
        CROSS JOIN LATERAL (
            SELECT coalesce(
                (SELECT folded.came FROM summed AS folded WHERE folded.payment_id = other.payment_id),
                (SELECT amount_captured FROM payments WHERE id = other.payment_id)) AS came
        ) AS mate
        WHERE own.payment_id = summed.payment_id AND summed.came > 0 AND mate.came > 0
        HAVING count(*) > 0
    ) AS found
$$;

-- Locks the carts whose money comes, before any payment: of two payments of one generation the second waits here and
-- sees the first. Runs as the owner, since the worker may change nothing of a cart.
CREATE FUNCTION carts_lock_for_payments(money text[]) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM FROM carts
    WHERE id IN (
        SELECT session.cart_id FROM payments AS payment JOIN checkout_sessions AS session ON session.payment_id = payment.id
        WHERE payment.provider_ref = ANY(money) AND session.generation IS NOT NULL
    )
    ORDER BY id FOR NO KEY UPDATE;
END
$$;

-- Writes status, sums and reasons of payments: the one road to them. closing and looked_up are joined, raws replace what
-- is kept of the newest event where the status moves; each is NULL or has a place for each id. Returns what changed.
-- Ends the generation of a cart whose money came first. Runs as the owner: no login role may write these columns.
CREATE FUNCTION payments_fold(
    ids uuid[], closing payment_status[] DEFAULT NULL, looked_up timestamptz[] DEFAULT NULL, raws bytea[] DEFAULT NULL
) RETURNS TABLE (
    payment_id uuid, version integer, status_from text, status_to text, reasons_from text, reasons_to text
) LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF closing IS NOT NULL OR looked_up IS NOT NULL THEN
        UPDATE payments AS payment
        SET closed = greatest(payment.closed, given.closing),
            looked_up_at = greatest(payment.looked_up_at, given.looked_up)
        FROM unnest(ids, closing, looked_up) AS given (id, closing, looked_up)
        WHERE payment.id = given.id AND (
            payment.closed IS DISTINCT FROM greatest(payment.closed, given.closing)
            OR payment.looked_up_at IS DISTINCT FROM greatest(payment.looked_up_at, given.looked_up));
    END IF;
    RETURN QUERY
    WITH summed AS MATERIALIZED (
        SELECT * FROM payment_sums(ids)
    ), doubtful AS MATERIALIZED (
        -- Those that may have a reason; most payments have none, and a reason costs more to find than to rule out. One
        -- whose filling of the cart has another session is always among them, since its sums tell of the other.
        SELECT summed::payment_sum AS sums
        FROM summed JOIN payments AS payment ON payment.id = summed.payment_id
        WHERE summed.came > 0 AND (summed.came <> summed.due OR payment.closed IS NOT NULL)
            OR summed.undone + summed.taken + summed.refunded + summed.refunding > summed.came
            OR summed.foreign_money > 0 OR summed.timed_out > 0
            OR EXISTS (SELECT FROM payment_notices AS notice WHERE notice.payment_id = summed.payment_id)
            OR EXISTS (
                SELECT FROM checkout_sessions AS own
                JOIN checkout_sessions AS other ON other.cart_id = own.cart_id AND other.generation = own.generation
                    AND other.payment_id <> own.payment_id
                WHERE own.payment_id = summed.payment_id)
    ), reasons AS MATERIALIZED (
        SELECT found.payment_id, string_agg(DISTINCT found.reason, ', ' ORDER BY found.reason) AS all_reasons
        FROM (SELECT array_agg(sums) AS sums FROM doubtful HAVING count(*) > 0) AS of_them
        CROSS JOIN LATERAL payment_reasons(of_them.sums) AS found
        WHERE NOT EXISTS (
            SELECT FROM payment_reviews AS review
            WHERE review.payment_id = found.payment_id AND review.reason = found.reason
                AND review.amounts = found.amounts)
        GROUP BY found.payment_id
    ), folded AS MATERIALIZED (
        SELECT summed.*, payment.closed,
            CASE
                WHEN summed.came > 0 AND summed.undone + summed.taken >= summed.came THEN 'reversed'
                WHEN summed.came >= summed.due THEN 'paid'
                WHEN summed.came > 0 THEN 'partially_paid'
                WHEN payment.closed IS NOT NULL THEN payment.closed::text
                WHEN summed.authorized > 0 THEN 'authorized'
                WHEN summed.under_way THEN 'processing'
                WHEN summed.ended IS NOT NULL THEN summed.ended::text
                ELSE 'pending' END::payment_status AS status,
            reasons.all_reasons
        FROM summed
        JOIN payments AS payment ON payment.id = summed.payment_id
        LEFT JOIN reasons ON reasons.payment_id = summed.payment_id
    ), moved AS (
        UPDATE payments AS payment
        SET status = folded.status, review_reason = folded.all_reasons,
            amount_captured = folded.came, amount_lost = folded.undone + folded.taken, amount_blocked = folded.blocked,
            amount_authorized = folded.authorized, amount_accepted = folded.accepted,
            amount_refunded = folded.refunded, amount_refunding = folded.refunding, under_way = folded.under_way,
            raw_payload = CASE WHEN payment.status <> folded.status AND given.raw IS NOT NULL
                THEN convert_from(given.raw, 'UTF8')::jsonb ELSE payment.raw_payload END,
            next_look_up_at = CASE
                WHEN folded.status IN ('paid', 'reversed') THEN NULL
                WHEN folded.status = 'partially_paid' AND NOT folded.under_way AND folded.authorized = 0 THEN NULL
                WHEN folded.status IN ('expired', 'canceled') AND payment.status <> folded.status
                    THEN now() + interval '1 hour'
                WHEN folded.status < 'expired' AND payment.status <> folded.status
                    THEN coalesce(payment.next_look_up_at, now() + interval '10 minutes')
                ELSE payment.next_look_up_at END,
            look_ups = CASE
                WHEN folded.status IN ('expired', 'canceled') AND payment.status <> folded.status THEN 0
                ELSE payment.look_ups END,
            version = payment.version + 1, updated_at = now()
        FROM folded LEFT JOIN unnest(ids, raws) AS given (id, raw) ON given.id = folded.payment_id
        WHERE payment.id = folded.payment_id AND (
            payment.status, payment.review_reason, payment.amount_captured, payment.amount_lost, payment.amount_blocked,
            payment.amount_authorized, payment.amount_accepted, payment.amount_refunded, payment.amount_refunding,
            payment.under_way
        ) IS DISTINCT FROM (
            folded.status, folded.all_reasons, folded.came, folded.undone + folded.taken, folded.blocked,
            folded.authorized, folded.accepted, folded.refunded, folded.refunding, folded.under_way)
        RETURNING payment.id, payment.version, old.status AS old_status, new.status AS new_status,
            old.review_reason AS old_reasons, new.review_reason AS new_reasons, old.amount_captured AS captured_before,
            new.amount_captured AS captured
    ), ended AS (
        UPDATE carts AS cart SET generation = cart.generation + 1
        FROM moved JOIN checkout_sessions AS session ON session.payment_id = moved.id
        WHERE moved.captured_before = 0 AND moved.captured > 0
            AND cart.id = session.cart_id AND cart.generation = session.generation
    )
    SELECT moved.id, moved.version, moved.old_status::text, moved.new_status::text, moved.old_reasons, moved.new_reasons
    FROM moved;
END
$$;
