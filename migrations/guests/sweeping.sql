-- Ends guests whom nobody comes back as: whose token, or cookie, has ended by its last use. Their cart goes, if no session of it
-- is alive, with the rows of guests and users where nothing else is theirs. What they paid for and bought stays under its owner
-- row; so does the guest, where a customer sees it by the link.

-- One step, of up to most guests that come after these in the order of their last use: where it ended, or none. They are looked
-- at once a run, so that those with a session alive do not stand before others. Rows that somebody holds are left to a later
-- run. Locks, in this order: guests, carts, users.
CREATE FUNCTION guests_sweep(lasts interval, after_use timestamptz, after_id uuid, most integer)
RETURNS TABLE (last_use timestamptz, last_id uuid, seen integer, ended integer) LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    ids uuid[];
    gone uuid[];
    lone uuid[];
BEGIN
    SELECT array_agg(old.id ORDER BY old.last_used_at, old.id), max(old.last_used_at), count(*)
    INTO ids, last_use, seen
    FROM (
        SELECT guest.id, guest.last_used_at FROM guests AS guest
        WHERE guest.ended_at IS NULL AND guest.last_used_at <= now() - lasts
            AND (guest.last_used_at, guest.id) > (after_use, after_id)
        ORDER BY guest.last_used_at, guest.id LIMIT most
    ) AS old;
    last_id := ids[cardinality(ids)];
    ended := 0;
    IF seen = 0 THEN
        RETURN NEXT;
        RETURN;
    END IF;
    -- Whoever came back meanwhile is not among them: a token can have been used until a moment ago.
    gone := ARRAY(
        SELECT guest.id FROM guests AS guest
        WHERE guest.id = ANY(ids) AND guest.ended_at IS NULL AND guest.last_used_at <= now() - lasts
        ORDER BY guest.id FOR UPDATE SKIP LOCKED);
    -- Before it is looked whether a session is alive: one that is being opened holds its cart.
    PERFORM FROM carts WHERE user_id = ANY(gone) ORDER BY id FOR UPDATE;
    gone := ARRAY(
        SELECT old.guest_id FROM unnest(gone) AS old (guest_id) WHERE NOT EXISTS (
            SELECT FROM checkout_sessions AS session JOIN payments AS payment ON payment.id = session.payment_id
            WHERE session.user_id = old.guest_id
                AND (session.expires_at > now() OR payment.status < 'expired' OR payment.under_way)));
    DELETE FROM cart_items WHERE cart_id IN (SELECT cart.id FROM carts AS cart WHERE cart.user_id = ANY(gone));
    DELETE FROM carts AS cart WHERE cart.user_id = ANY(gone)
        AND NOT EXISTS (SELECT FROM checkout_sessions AS session WHERE session.cart_id = cart.id);
    UPDATE guests AS guest SET ended_at = now(), updated_at = now() WHERE guest.id = ANY(gone);
    lone := ARRAY(
        SELECT old.guest_id FROM unnest(gone) AS old (guest_id)
        WHERE NOT EXISTS (SELECT FROM carts WHERE user_id = old.guest_id)
            AND NOT EXISTS (SELECT FROM payments WHERE user_id = old.guest_id)
            AND NOT EXISTS (SELECT FROM checkout_sessions WHERE user_id = old.guest_id)
            AND NOT EXISTS (SELECT FROM guests AS other WHERE other.customer_id = old.guest_id));
    DELETE FROM guests AS guest WHERE guest.id = ANY(lone)
        OR guest.id = ANY(gone) AND guest.customer_id IS NULL;
    -- One who comes back by an old cookie at this moment writes their row anew.
    DELETE FROM users WHERE id = ANY(lone);
    ended := cardinality(gone);
    RETURN NEXT;
END
$$;

DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION guests_sweep(interval, timestamptz, uuid, integer) SET search_path = %I, pg_temp',
        current_schema());
END
$$;

REVOKE EXECUTE ON FUNCTION guests_sweep(interval, timestamptz, uuid, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION guests_sweep(interval, timestamptz, uuid, integer) TO checkout_worker;
