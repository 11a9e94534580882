-- The fold with the mates of merged carts.

-- As before (migrations/orders/fold.sql), but a payment is paid twice by its mates in another cart too.
CREATE OR REPLACE FUNCTION payment_reasons(sums payment_sum[]) RETURNS TABLE (payment_id uuid, reason text, amounts text)
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
        WHERE payment.closed IN ('expired', 'canceled') AND summed.came > summed.undone + summed.taken + summed.refunded
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
        FROM (
            SELECT session.payment_id
            FROM checkout_sessions AS own
            JOIN checkout_sessions AS session ON session.cart_id = own.cart_id AND session.generation = own.generation
                AND session.payment_id <> own.payment_id
            WHERE own.payment_id = summed.payment_id
            UNION ALL
            SELECT pair.mate_id FROM payment_mates AS pair WHERE pair.payment_id = summed.payment_id
        ) AS other
        CROSS JOIN LATERAL (
            SELECT coalesce(
                (SELECT folded.came FROM summed AS folded WHERE folded.payment_id = other.payment_id),
                (SELECT amount_captured FROM payments WHERE id = other.payment_id)) AS came
        ) AS mate
        WHERE summed.came > 0 AND mate.came > 0
        HAVING count(*) > 0
        UNION ALL
        SELECT 'paid_without_stock', sum(line.qty_short)::text
        FROM orders AS made JOIN order_lines AS line ON line.order_id = made.id
        WHERE made.payment_id = summed.payment_id AND made.status <> 'canceled' AND summed.came > 0
        HAVING sum(line.qty_short) > 0
        UNION ALL
        -- Money of an order that was canceled for good, which is not about to go back: a refund failed, or it came after.
        SELECT 'cancellation_unpaid', concat_ws('/',
            trim_scale(summed.came - summed.undone - summed.taken - summed.refunded - summed.refunding),
            (SELECT count(*) FROM refunds AS refund WHERE refund.payment_id = summed.payment_id AND refund.status = 'failed'))
        FROM orders AS made
        WHERE made.payment_id = summed.payment_id AND made.canceled_at IS NOT NULL
            AND summed.came > summed.undone + summed.taken + summed.refunded + summed.refunding
        UNION ALL
        -- Or what is authorized for it, which nobody releases: the void failed, or it came after.
        SELECT 'cancellation_unpaid', concat_ws('/', 'authorized', trim_scale(summed.authorized),
            (SELECT count(*) FROM voids AS void WHERE void.payment_id = summed.payment_id AND void.status = 'failed'))
        FROM orders AS made
        WHERE made.payment_id = summed.payment_id AND made.canceled_at IS NOT NULL
            AND summed.authorized > 0 AND payment.closed IS NULL AND NOT EXISTS (
                SELECT FROM voids AS void WHERE void.payment_id = summed.payment_id AND void.status <= 'processing')
        UNION ALL
        -- Goods went out, no money came, and none is promised any more. Where some came, it is a mismatch.
        SELECT 'fulfilled_unpaid', trim_scale(sum(line.unit_price * line.qty_fulfilled))::text
        FROM orders AS made JOIN order_lines AS line ON line.order_id = made.id
        WHERE made.payment_id = summed.payment_id AND summed.came = 0 AND NOT summed.under_way
            AND (summed.authorized = 0 OR payment.closed IS NOT NULL)
        HAVING sum(line.qty_fulfilled) > 0
    ) AS found
$$;

-- As before (migrations/orders/fold.sql), with the same difference.
CREATE OR REPLACE FUNCTION payments_compute(
    ids uuid[], closing payment_status[] DEFAULT NULL, looked_up timestamptz[] DEFAULT NULL, raws bytea[] DEFAULT NULL
) RETURNS SETOF payment_change LANGUAGE plpgsql
SET enable_seqscan = off SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan AS $$
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
        SELECT sums.*, payment.closed, own.cart_id, own.generation, EXISTS (
            SELECT FROM checkout_sessions AS other
            WHERE other.cart_id = own.cart_id AND other.generation = own.generation
                AND other.payment_id <> own.payment_id)
            OR EXISTS (SELECT FROM payment_mates AS pair WHERE pair.payment_id = sums.payment_id) AS has_mates
        FROM payment_sums(ids) AS sums JOIN payments AS payment ON payment.id = sums.payment_id
        LEFT JOIN checkout_sessions AS own ON own.payment_id = sums.payment_id
    ), doubtful AS MATERIALIZED (
        -- Those that may have a reason; most payments have none, and a reason costs more to find than to rule out. One
        -- whose filling of the cart has another session is always among them, since its sums tell of the other.
        SELECT summed.payment_id
        FROM summed
        WHERE summed.came > 0 AND (summed.came <> summed.due OR summed.closed IS NOT NULL)
            OR summed.undone + summed.taken + summed.refunded + summed.refunding > summed.came
            OR summed.foreign_money > 0 OR summed.timed_out > 0 OR summed.has_mates
            OR EXISTS (SELECT FROM payment_notices AS notice WHERE notice.payment_id = summed.payment_id)
            OR EXISTS (SELECT FROM orders AS made
                WHERE made.payment_id = summed.payment_id AND (made.status NOT IN ('placed', 'fulfilled')
                    OR made.status = 'fulfilled' AND summed.came = 0))
    ), reasons AS MATERIALIZED (
        SELECT found.payment_id, string_agg(DISTINCT found.reason, ', ' ORDER BY found.reason) AS all_reasons
        FROM (SELECT array_agg(doubtful.payment_id) AS ids FROM doubtful HAVING count(*) > 0) AS doubts
        CROSS JOIN LATERAL (SELECT array_agg(sums) AS sums FROM payment_sums(doubts.ids) AS sums) AS of_them
        CROSS JOIN LATERAL payment_reasons(of_them.sums) AS found
        WHERE NOT EXISTS (
            SELECT FROM payment_reviews AS review
            WHERE review.payment_id = found.payment_id AND review.reason = found.reason
                AND review.amounts = found.amounts)
        GROUP BY found.payment_id
    ), folded AS MATERIALIZED (
        SELECT summed.*,
            CASE
                WHEN summed.came > 0 AND summed.undone + summed.taken >= summed.came THEN 'reversed'
                WHEN summed.came >= summed.due THEN 'paid'
                WHEN summed.came > 0 THEN 'partially_paid'
                WHEN summed.closed IS NOT NULL THEN summed.closed::text
                WHEN summed.authorized > 0 THEN 'authorized'
                WHEN summed.under_way THEN 'processing'
                WHEN summed.ended IS NOT NULL THEN summed.ended::text
                ELSE 'pending' END::payment_status AS status,
            reasons.all_reasons
        FROM summed LEFT JOIN reasons ON reasons.payment_id = summed.payment_id
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
            first_paid_at = CASE
                WHEN payment.first_paid_at IS NOT NULL THEN payment.first_paid_at
                WHEN payment_was_paid(payment) THEN payment.updated_at
                WHEN folded.status = 'paid' THEN now() END,
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
            new.amount_captured AS captured, new.closed, folded.cart_id, folded.generation,
            old.amount_captured > 0 OR old.status = 'authorized' AS had_money,
            new.amount_captured > 0 OR new.status = 'authorized' AS has_money,
            (old.amount_captured, old.amount_authorized, old.amount_accepted, old.status = 'authorized')
                IS DISTINCT FROM (new.amount_captured, new.amount_authorized, new.amount_accepted,
                    new.status = 'authorized') AS money_moved,
            new.status = 'paid' AND NOT payment_was_paid(old) AS first_paid, folded.has_mates
    ), ended AS (
        UPDATE carts AS cart SET generation = cart.generation + 1
        FROM moved
        WHERE moved.captured_before = 0 AND moved.captured > 0
            AND cart.id = moved.cart_id AND cart.generation = moved.generation
    )
    SELECT moved.id, moved.version, moved.old_status::text, moved.new_status::text, moved.old_reasons, moved.new_reasons,
        moved.had_money, moved.has_money, moved.money_moved,
        moved.closed IS NOT NULL AND NOT moved.has_money AND moved.old_status <> moved.new_status, moved.first_paid,
        moved.has_mates
    FROM moved;
END
$$;
