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

-- As catalog_sync_write, of rows that say what they do to a listing on sale: ends, and moved, the currencies in which its price
-- moves far. It is counted with the batch, so that a run that is killed counts as what it did.
CREATE OR REPLACE FUNCTION catalog_sync_write_counted(
    sync uuid, lasts interval, given text[], batch jsonb, is_allowed boolean
) RETURNS TABLE (source_key text, outcome text, source_stock integer, reserved integer) LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    written jsonb;
BEGIN
    SELECT coalesce(jsonb_agg(to_jsonb(done)), '[]') INTO written FROM catalog_sync_write(sync, lasts, given, batch) AS done;
    WITH about AS MATERIALIZED (
        SELECT row.ends, row.moved FROM jsonb_to_recordset(batch) AS row (key text, ends boolean, moved text[])
        JOIN jsonb_to_recordset(written) AS done (source_key text, outcome text) ON done.source_key = row.key
        WHERE done.outcome IN ('new', 'changed')
    ), prices AS (
        SELECT each.currency, sum(each.number) AS number FROM (
            SELECT currency, 1 AS number FROM about, unnest(about.moved) AS currency
            UNION ALL
            SELECT before.key, before.value::integer
            FROM catalog_syncs AS run CROSS JOIN LATERAL jsonb_each_text(run.moved) AS before WHERE run.id = sync
        ) AS each GROUP BY each.currency
    )
    UPDATE catalog_syncs SET allowed = is_allowed,
        made_inactive = made_inactive + (SELECT count(*) FROM about WHERE about.ends)::integer,
        moved = (SELECT coalesce(jsonb_object_agg(currency, number), '{}') FROM prices)
    WHERE id = sync;
    RETURN QUERY
    SELECT done.source_key, done.outcome, done.source_stock, done.reserved
    FROM jsonb_to_recordset(written) AS done (source_key text, outcome text, source_stock integer, reserved integer);
END
$$;

-- As catalog_sync_retire, and counted with it.
CREATE OR REPLACE FUNCTION catalog_sync_retire_counted(sync uuid, lasts interval, keys text[], is_allowed boolean)
RETURNS TABLE (source_key text) LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    ended text[];
BEGIN
    ended := ARRAY(SELECT done.source_key FROM catalog_sync_retire(sync, lasts, keys) AS done);
    UPDATE catalog_syncs SET allowed = is_allowed, made_inactive = made_inactive + cardinality(ended) WHERE id = sync;
    RETURN QUERY SELECT unnest(ended);
END
$$;

REVOKE EXECUTE ON FUNCTION catalog_sync_end(uuid, catalog_sync_state, integer[], text, boolean, jsonb),
    catalog_sync_write_counted(uuid, interval, text[], jsonb, boolean),
    catalog_sync_retire_counted(uuid, interval, text[], boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION catalog_sync_end(uuid, catalog_sync_state, integer[], text, boolean, jsonb),
    catalog_sync_write_counted(uuid, interval, text[], jsonb, boolean),
    catalog_sync_retire_counted(uuid, interval, text[], boolean) TO checkout_worker;

DO $$
DECLARE
    of_owner text;
BEGIN
    FOREACH of_owner IN ARRAY ARRAY['catalog_sync_end(uuid, catalog_sync_state, integer[], text, boolean, jsonb)',
        'catalog_sync_write_counted(uuid, interval, text[], jsonb, boolean)',
        'catalog_sync_retire_counted(uuid, interval, text[], boolean)']
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', of_owner, current_schema());
    END LOOP;
END
$$;
