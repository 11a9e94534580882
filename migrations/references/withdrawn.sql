-- Takes lines that nobody can buy any more out of two carts that are merged, where either has others; what they were, as what
-- was capped. Its caller has the locks of the carts and of their lines. The currencies are those of WITHDRAWN in
-- checkout_service/money.py; a test compares them.
CREATE OR REPLACE FUNCTION cart_drop_withdrawn(how text, mine uuid, theirs uuid) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    unsold uuid[];
    gone jsonb;
BEGIN
    SELECT array_agg(item.id) INTO unsold FROM cart_items AS item JOIN listings AS listing ON listing.id = item.listing_id
    WHERE item.cart_id IN (mine, theirs) AND coalesce(item.currency, listing.currency) IN ('ANG', 'BGN');
    IF how = 'mine' OR unsold IS NULL
        OR NOT EXISTS (SELECT FROM cart_items WHERE cart_id IN (mine, theirs) AND id <> ALL(unsold)) THEN
        RETURN NULL;
    END IF;
    WITH dropped AS (DELETE FROM cart_items WHERE id = ANY(unsold) RETURNING id, listing_id, qty)
    SELECT jsonb_agg(jsonb_build_object('listing', listing_id, 'requested', qty, 'qty', 0) ORDER BY id) INTO gone FROM dropped;
    RETURN gone;
END
$$;
REVOKE EXECUTE ON FUNCTION cart_drop_withdrawn(text, uuid, uuid) FROM PUBLIC;
