-- Pieces of an order that a refund was asked for with, once that has failed here and the provider made it all the same:
-- what was made stands for it (refunds.made_for), and the pieces are given back with that. Only the provider says so, by our
-- id, and it gave back as much as was asked for; once it is said, it stays.

-- How many pieces of an order's line were given back, and how many are on their way back. A request over several captures is
-- one: on its way while one of its parts is, and given back unless all of them failed. A part that failed here is what the
-- provider made for it.
CREATE OR REPLACE FUNCTION order_line_refunds(line uuid) RETURNS TABLE (refunded integer, refunding integer)
LANGUAGE sql STABLE AS $$
    SELECT coalesce(sum(back.qty) FILTER (WHERE NOT request.is_under_way), 0)::integer,
        coalesce(sum(back.qty) FILTER (WHERE request.is_under_way), 0)::integer
    FROM refund_lines AS back JOIN refunds AS refund ON refund.id = back.refund_id
    CROSS JOIN LATERAL (
        SELECT bool_or(least(part.status, made.status) <= 'processing') AS is_under_way,
            bool_and(least(part.status, made.status) = 'failed') AS has_failed
        FROM refunds AS part LEFT JOIN refunds AS made ON made.made_for = part.id
        WHERE part.id = refund.id OR part.requested_by = refund.requested_by
            AND part.idempotency_key = refund.idempotency_key
    ) AS request
    WHERE back.order_line_id = line AND NOT request.has_failed
$$;

-- Of an order's line, how many pieces a person has to tell about first: they were asked for with a refund that an operator
-- ended as not made, and the dashboard has one of its amount that may be that. Nothing moves by it. They are not given back
-- once more until somebody has reviewed the payment, or the provider says what that one is, or that it failed. The words are
-- those of worker/transitions/refunds.py.
CREATE OR REPLACE FUNCTION order_line_in_question(line uuid) RETURNS integer LANGUAGE sql STABLE AS $$
    SELECT coalesce(sum(back.qty), 0)::integer
    FROM refund_lines AS back JOIN refunds AS refund ON refund.id = back.refund_id
    JOIN payments AS payment ON payment.id = refund.payment_id
    WHERE back.order_line_id = line AND payment.review_reason LIKE '%refund\_mismatch%'
        -- Unless they count already: one of its parts did not fail, or was made.
        AND NOT EXISTS (
            SELECT FROM refunds AS part LEFT JOIN refunds AS made ON made.made_for = part.id
            WHERE (part.id = refund.id
                    OR part.requested_by = refund.requested_by AND part.idempotency_key = refund.idempotency_key)
                AND least(part.status, made.status) <> 'failed')
        AND EXISTS (
            SELECT FROM refunds AS part JOIN payment_notices AS notice ON notice.payment_id = part.payment_id
                AND notice.reason = 'refund_mismatch' AND notice.detail LIKE 'perhaps refund %' || part.id || '%'
            JOIN refunds AS made ON made.payment_id = part.payment_id AND made.provider_ref = notice.ref
                AND made.status <> 'failed' AND made.made_for IS NULL
            WHERE (part.id = refund.id
                    OR part.requested_by = refund.requested_by AND part.idempotency_key = refund.idempotency_key)
                AND NOT EXISTS (SELECT FROM payment_reviews AS review
                    WHERE review.payment_id = notice.payment_id AND review.reason = notice.reason
                        AND review.created_at > notice.created_at))
$$;

-- Before a line of a refund is inserted, behind refund_lines_admit, which locks the payment.
CREATE OR REPLACE FUNCTION refund_lines_question() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF NEW.qty > (
        SELECT line.qty - order_line_refunded(line.id) - order_line_in_question(line.id) FROM order_lines AS line
        WHERE line.id = NEW.order_line_id
    ) THEN
        RAISE EXCEPTION 'of line % pieces may have been given back: somebody has to review the payment', NEW.order_line_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'refund_lines_question';
    END IF;
    RETURN NEW;
END
$$;

CREATE OR REPLACE TRIGGER refund_lines_question BEFORE INSERT ON refund_lines
FOR EACH ROW EXECUTE FUNCTION refund_lines_question();

-- One stands for a refund of its own payment, and of its amount.
CREATE OR REPLACE FUNCTION refunds_check_made_for() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.made_for = NEW.id OR NOT EXISTS (
        SELECT FROM refunds AS ours WHERE ours.id = NEW.made_for AND ours.payment_id = NEW.payment_id
            AND ours.requested_by IS NOT NULL AND ours.amount = NEW.amount
    ) THEN
        RAISE EXCEPTION 'refund % cannot stand for %', NEW.id, NEW.made_for
            USING ERRCODE = 'check_violation', CONSTRAINT = 'refunds_made_for_own_payment';
    END IF;
    RETURN NEW;
END
$$;

CREATE OR REPLACE TRIGGER refunds_check_made_for BEFORE INSERT OR UPDATE OF made_for ON refunds
FOR EACH ROW WHEN (NEW.made_for IS NOT NULL) EXECUTE FUNCTION refunds_check_made_for();

-- Before the provider is asked for a refund by line the first time: whether its pieces still are there to be given back,
-- among those that were sent. One of them may have been made all the same since it was asked for.
CREATE OR REPLACE FUNCTION refunds_check_pieces() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM FROM payments WHERE id = NEW.payment_id FOR NO KEY UPDATE;
    IF EXISTS (
        SELECT FROM refunds AS first
        JOIN refund_lines AS back ON back.refund_id = first.id JOIN order_lines AS line ON line.id = back.order_line_id
        WHERE (first.id = NEW.id
                OR first.requested_by = NEW.requested_by AND first.idempotency_key = NEW.idempotency_key)
            AND back.qty > line.qty - order_line_in_question(line.id) - (
                SELECT coalesce(sum(other.qty), 0) FROM refund_lines AS other JOIN refunds AS beside ON beside.id = other.refund_id
                WHERE other.order_line_id = line.id AND other.id <> back.id AND EXISTS (
                    SELECT FROM refunds AS part LEFT JOIN refunds AS made ON made.made_for = part.id
                    WHERE (part.id = beside.id
                            OR part.requested_by = beside.requested_by AND part.idempotency_key = beside.idempotency_key)
                        AND (made.status <> 'failed' OR part.status <> 'failed'
                            AND (part.status > 'requested' OR part.sent_at IS NOT NULL))))
    ) THEN
        RAISE EXCEPTION 'of what refund % is for, fewer pieces are left to give back', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'refunds_pieces_left';
    END IF;
    RETURN NEW;
END
$$;

CREATE OR REPLACE TRIGGER refunds_check_pieces BEFORE UPDATE OF sent_at ON refunds FOR EACH ROW
WHEN (OLD.sent_at IS NULL AND NEW.sent_at IS NOT NULL) EXECUTE FUNCTION refunds_check_pieces();

-- What the release before flagged, by its words, is entered: refunds that the provider made of ours by our id. A payment each
-- transaction, under its lock, and what follows for its order is done with it. Run again it goes on. It is called by the
-- migration, and once more by hand when no worker of that release is left (docs/migrations.md).
CREATE OR REPLACE PROCEDURE refunds_stand_in() LANGUAGE plpgsql AS $$
DECLARE
    of_payment uuid;
BEGIN
    FOR of_payment IN SELECT DISTINCT due.payment_id FROM refunds_of_before() AS due ORDER BY 1 LOOP
        PERFORM FROM payments WHERE id = of_payment FOR NO KEY UPDATE;
        UPDATE refunds SET made_for = due.made_for, version = refunds.version + 1, updated_at = now()
        FROM refunds_of_before(of_payment) AS due WHERE refunds.id = due.refund_id;
        PERFORM payments_fold(ARRAY[of_payment]);
        COMMIT;
    END LOOP;
END
$$;

CREATE OR REPLACE FUNCTION refunds_of_before(of_payment uuid DEFAULT NULL)
RETURNS TABLE (payment_id uuid, refund_id uuid, made_for uuid) LANGUAGE sql STABLE AS $$
    SELECT notice.payment_id, made.id, ours.id
    FROM payment_notices AS notice
    CROSS JOIN LATERAL regexp_match(notice.detail,
        '^refund ([0-9a-f-]{36}) (was refused, and was made all the same|is not .*, as an operator saw)$') AS matched (words)
    JOIN refunds AS ours ON ours.id = CAST(matched.words[1] AS uuid)
    JOIN refunds AS made ON made.payment_id = notice.payment_id AND made.provider_ref = notice.ref
    WHERE notice.reason = 'refund_mismatch' AND (of_payment IS NULL OR notice.payment_id = of_payment)
        AND ours.payment_id = notice.payment_id AND ours.status = 'failed' AND ours.requested_by IS NOT NULL
        AND made.requested_by IS NULL AND made.made_for IS NULL AND made.amount = ours.amount
$$;

-- A function that runs as the owner finds its tables here and nowhere else, and nobody else may hang it on a table.
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION refunds_check_pieces() SET search_path = %I, pg_temp', current_schema());
    EXECUTE format('ALTER FUNCTION refund_lines_question() SET search_path = %I, pg_temp', current_schema());
END
$$;
REVOKE EXECUTE ON FUNCTION refunds_check_pieces(), refund_lines_question(), refunds_of_before(uuid) FROM PUBLIC;
REVOKE EXECUTE ON PROCEDURE refunds_stand_in() FROM PUBLIC;
