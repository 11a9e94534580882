-- Pieces of an order that a refund was asked for with, once that has failed here and the provider made it all the same:
-- what was made stands for it (refunds.made_for), and the pieces are given back with that.

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

-- One stands for a refund of its own payment.
CREATE OR REPLACE FUNCTION refunds_check_made_for() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.made_for = NEW.id OR NOT EXISTS (
        SELECT FROM refunds AS ours WHERE ours.id = NEW.made_for AND ours.payment_id = NEW.payment_id
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
            AND back.qty > line.qty - (
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

-- A function that runs as the owner finds its tables here and nowhere else, and nobody else may hang it on a table.
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION refunds_check_pieces() SET search_path = %I, pg_temp', current_schema());
END
$$;
REVOKE EXECUTE ON FUNCTION refunds_check_pieces() FROM PUBLIC;
