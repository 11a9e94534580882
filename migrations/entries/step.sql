-- Payments that have no entries yet, as many as a step takes, by their ids: the last of them, or NULL once none is left.
-- A payment whose status would be another one ends the step, and nothing of it stays.
CREATE FUNCTION payments_enter_step(most integer, after uuid) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    ids uuid[];
    changed record;
BEGIN
    ids := ARRAY(
        SELECT id FROM payments
        WHERE id > after AND version = 0 AND (status <> 'pending' OR review_reason IS NOT NULL)
        ORDER BY id LIMIT most FOR NO KEY UPDATE);
    PERFORM payments_enter(ids);
    SELECT * INTO changed FROM payments_fold(ids) AS folded WHERE folded.status_from <> folded.status_to LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'payment % would go from % to %', changed.payment_id, changed.status_from, changed.status_to;
    END IF;
    RETURN ids[cardinality(ids)];
END
$$;

REVOKE EXECUTE ON FUNCTION payments_enter_step(integer, uuid) FROM PUBLIC;
