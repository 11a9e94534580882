-- Ends a run as the function of before, and says how many prices it moved far, by currency. That one stays for workers of the
-- release before.
CREATE OR REPLACE FUNCTION catalog_sync_end(sync uuid, result catalog_sync_state, counts integer[], about text,
    is_allowed boolean, moved_prices jsonb) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    UPDATE catalog_syncs SET moved = moved_prices WHERE id = sync AND state = 'running';
    RETURN catalog_sync_end(sync, result, counts, about, is_allowed);
END
$$;

REVOKE EXECUTE ON FUNCTION catalog_sync_end(uuid, catalog_sync_state, integer[], text, boolean, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION catalog_sync_end(uuid, catalog_sync_state, integer[], text, boolean, jsonb) TO checkout_worker;

DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION catalog_sync_end(uuid, catalog_sync_state, integer[], text, boolean, jsonb)
        SET search_path = %I, pg_temp', current_schema());
END
$$;
