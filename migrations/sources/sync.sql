-- How listings of the source are written. The worker's role reads the source, and calls these; it writes no table itself.
-- What they write is what the import writes (checkout_service/catalog/operations.py), by the same rules of the tables.

-- Begins a run, unless another one is at work: none then. Two hundred runs are kept, and those of the last day.
CREATE FUNCTION catalog_sync_begin(lasts interval) RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    begun uuid;
BEGIN
    UPDATE catalog_syncs SET state = 'abandoned', finished_at = now(), updated_at = now()
    WHERE state = 'running' AND lease_until <= now();
    INSERT INTO catalog_syncs (lease_until) VALUES (now() + least(lasts, interval '1 hour'))
    ON CONFLICT (state) WHERE state = 'running' DO NOTHING RETURNING id INTO begun;
    DELETE FROM catalog_syncs WHERE id IN (SELECT old.id FROM catalog_syncs AS old ORDER BY old.id DESC OFFSET 200)
        AND created_at < now() - interval '1 day';
    RETURN begun;
END
$$;

-- Keeps the run's lease. One that lost it writes nothing more: another one may have read the source since.
CREATE FUNCTION catalog_sync_go_on(sync uuid, lasts interval) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    UPDATE catalog_syncs SET lease_until = now() + least(lasts, interval '1 hour'), updated_at = now()
    WHERE id = sync AND state = 'running';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the sync % is over', sync USING ERRCODE = 'check_violation', CONSTRAINT = 'catalog_sync_runs';
    END IF;
END
$$;

-- Ends a run, with what it did. One that lost its lease has ended before.
CREATE FUNCTION catalog_sync_end(sync uuid, result catalog_sync_state, counts integer[], about text,
    is_allowed boolean) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    UPDATE catalog_syncs
    SET state = result, finished_at = now(), updated_at = now(), source_rows = counts[1], added = counts[2],
        changed = counts[3], made_inactive = counts[4], unusable = counts[5], short = counts[6], detail = left(about, 4000),
        allowed = is_allowed
    WHERE id = sync AND state = 'running';
    RETURN FOUND;
END
$$;

CREATE FUNCTION catalog_sync_rows(batch jsonb) RETURNS TABLE (
    n integer, id uuid, key text, digest text, title text, description text, images jsonb, unit_price numeric, currency char(3),
    prices jsonb, stock integer, active boolean, vendor_id uuid, vendor_name text, school_id uuid, school_name text,
    spec_id uuid, spec_name text, spec_attributes jsonb
) LANGUAGE sql IMMUTABLE AS $$
    SELECT * FROM jsonb_to_recordset(batch) AS each (
        n integer, id uuid, key text, digest text, title text, description text, images jsonb, unit_price numeric,
        currency char(3), prices jsonb, stock integer, active boolean, vendor_id uuid, vendor_name text, school_id uuid,
        school_name text, spec_id uuid, spec_name text, spec_attributes jsonb)
$$;

-- Writes what differs of these rows of the source, of whose columns the given ones were there: what is not given stays as it
-- is. A row for each, with what was done: new, changed, same; or taken, where its listing is another key's. Where the source
-- says that less lies there than is reserved, what is reserved is entered and told: nothing more can be sold then, and nobody
-- loses what they have. Listings in the order of their ids, counters behind them, as everybody who locks several.
CREATE FUNCTION catalog_sync_write(sync uuid, lasts interval, given text[], batch jsonb)
RETURNS TABLE (source_key text, outcome text, source_stock integer, reserved integer) LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    fit jsonb;
    added uuid[];
    changed uuid[];
    more uuid[];
BEGIN
    PERFORM catalog_sync_go_on(sync, lasts);
    -- As an import does, so that the two never lock rows crosswise. Nobody who reads listings, or refers to one, waits.
    LOCK TABLE listings IN SHARE UPDATE EXCLUSIVE MODE;
    SELECT coalesce(jsonb_agg(item), '[]') INTO fit FROM jsonb_array_elements(batch) AS item
    WHERE NOT EXISTS (SELECT FROM source_listings AS known
        WHERE known.listing_id = (item ->> 'id')::uuid AND known.key <> item ->> 'key');

    INSERT INTO vendors AS stored (id, name)
    SELECT DISTINCT ON (each.vendor_id) each.vendor_id, each.vendor_name FROM catalog_sync_rows(fit) AS each
    ORDER BY each.vendor_id, each.n DESC
    ON CONFLICT (id) DO UPDATE SET name = excluded.name, updated_at = now() WHERE stored.name <> excluded.name;
    INSERT INTO schools AS stored (id, name)
    SELECT DISTINCT ON (each.school_id) each.school_id, each.school_name FROM catalog_sync_rows(fit) AS each
    WHERE each.school_id IS NOT NULL ORDER BY each.school_id, each.n DESC
    ON CONFLICT (id) DO UPDATE SET name = excluded.name, updated_at = now() WHERE stored.name <> excluded.name;
    WITH described AS (
        SELECT DISTINCT ON (each.spec_id) each.spec_id, each.spec_attributes FROM catalog_sync_rows(fit) AS each
        WHERE each.spec_attributes IS NOT NULL ORDER BY each.spec_id, each.n DESC
    ), named AS (
        SELECT DISTINCT ON (each.spec_id) each.spec_id, each.spec_name FROM catalog_sync_rows(fit) AS each
        WHERE each.spec_id IS NOT NULL ORDER BY each.spec_id, each.n DESC
    )
    INSERT INTO specs AS stored (id, name, attributes)
    SELECT named.spec_id, named.spec_name, coalesce(described.spec_attributes, kept.attributes, '{}')
    FROM named LEFT JOIN described USING (spec_id) LEFT JOIN specs AS kept ON kept.id = named.spec_id
    ON CONFLICT (id) DO UPDATE SET name = excluded.name, attributes = excluded.attributes, updated_at = now()
    WHERE (stored.name, stored.attributes) <> (excluded.name, excluded.attributes);

    PERFORM FROM listings WHERE id IN (SELECT each.id FROM catalog_sync_rows(fit) AS each) ORDER BY id FOR NO KEY UPDATE;
    IF 'stock' = ANY(given) THEN
        PERFORM FROM stock_counters WHERE listing_id IN (SELECT each.id FROM catalog_sync_rows(fit) AS each)
        ORDER BY listing_id FOR NO KEY UPDATE;
    END IF;
    WITH merged AS (
        SELECT each.id, each.vendor_id, each.title, each.unit_price, each.currency, coalesce(each.active, true) AS active,
            CASE WHEN 'school' = ANY(given) THEN each.school_id ELSE kept.school_id END AS school_id,
            CASE WHEN 'spec' = ANY(given) THEN each.spec_id ELSE kept.spec_id END AS spec_id,
            CASE WHEN 'description' = ANY(given) THEN each.description ELSE kept.description END AS description,
            coalesce(CASE WHEN 'images' = ANY(given) THEN each.images ELSE kept.images END, '[]') AS images,
            CASE WHEN 'stock' = ANY(given) THEN
                -- NULL never makes of a counted listing one that is sold without end.
                CASE WHEN each.stock IS NOT NULL THEN greatest(each.stock, counter.reserved) ELSE kept.stock END
                ELSE kept.stock END AS stock
        FROM catalog_sync_rows(fit) AS each LEFT JOIN listings AS kept ON kept.id = each.id
        LEFT JOIN stock_counters AS counter ON counter.listing_id = each.id
    ), written AS (
        INSERT INTO listings AS stored
            (id, vendor_id, school_id, spec_id, title, description, images, unit_price, currency, stock, active)
        SELECT merged.id, merged.vendor_id, merged.school_id, merged.spec_id, merged.title, merged.description, merged.images,
            merged.unit_price, merged.currency, merged.stock, merged.active
        FROM merged ORDER BY merged.id
        ON CONFLICT (id) DO UPDATE SET
            vendor_id = excluded.vendor_id, school_id = excluded.school_id, spec_id = excluded.spec_id,
            title = excluded.title, description = excluded.description, images = excluded.images,
            unit_price = excluded.unit_price, currency = excluded.currency, stock = excluded.stock,
            active = excluded.active, updated_at = now()
        WHERE (stored.vendor_id, stored.school_id, stored.spec_id, stored.title, stored.description, stored.images,
               stored.unit_price, stored.currency, stored.stock, stored.active)
            IS DISTINCT FROM (excluded.vendor_id, excluded.school_id, excluded.spec_id, excluded.title,
                              excluded.description, excluded.images, excluded.unit_price, excluded.currency,
                              excluded.stock, excluded.active)
        RETURNING new.id, old.id IS NULL AS is_new
    )
    SELECT coalesce(array_agg(written.id) FILTER (WHERE written.is_new), '{}'),
        coalesce(array_agg(written.id) FILTER (WHERE NOT written.is_new), '{}')
    INTO added, changed FROM written;

    IF 'prices' = ANY(given) THEN
        -- Before the others are written: a price in what is the listing's own currency from now on is none of these.
        WITH dropped AS (
            DELETE FROM listing_prices AS stored USING catalog_sync_rows(fit) AS each
            WHERE stored.listing_id = each.id AND NOT each.prices ? stored.currency::text
            RETURNING stored.listing_id
        )
        SELECT array_agg(dropped.listing_id) INTO more FROM dropped;
        changed := changed || more;
        WITH written AS (
            INSERT INTO listing_prices AS stored (listing_id, currency, unit_price)
            SELECT each.id, price.key, price.value::numeric
            FROM catalog_sync_rows(fit) AS each, jsonb_each_text(each.prices) AS price ORDER BY each.id, price.key
            ON CONFLICT (listing_id, currency) DO UPDATE SET unit_price = excluded.unit_price, updated_at = now()
            WHERE stored.unit_price <> excluded.unit_price
            RETURNING stored.listing_id
        )
        SELECT array_agg(written.listing_id) INTO more FROM written;
        changed := changed || more;
    END IF;

    -- One with less stock than is reserved has no digest: the next run looks at it again, whatever the source says by then.
    INSERT INTO source_listings AS stored (listing_id, key, digest, listing_updated_at)
    SELECT each.id, each.key,
        CASE WHEN 'stock' = ANY(given) AND each.stock < counter.reserved THEN NULL ELSE decode(each.digest, 'hex') END,
        listing.updated_at
    FROM catalog_sync_rows(fit) AS each JOIN listings AS listing ON listing.id = each.id
    LEFT JOIN stock_counters AS counter ON counter.listing_id = each.id
    ORDER BY each.id
    ON CONFLICT (listing_id) DO UPDATE
    SET digest = excluded.digest, listing_updated_at = excluded.listing_updated_at, updated_at = now();

    RETURN QUERY
    SELECT each.key, CASE
            WHEN known.key <> each.key THEN 'taken'
            WHEN each.id = ANY(added) THEN 'new'
            WHEN each.id = ANY(changed) THEN 'changed'
            ELSE 'same' END,
        each.stock,
        CASE WHEN 'stock' = ANY(given) AND known.key = each.key AND each.stock < counter.reserved THEN counter.reserved END
    FROM catalog_sync_rows(batch) AS each JOIN source_listings AS known ON known.listing_id = each.id
    LEFT JOIN stock_counters AS counter ON counter.listing_id = each.id
    ORDER BY each.n;
END
$$;

-- Takes what the source no longer has off sale, and deletes nothing but that it was the source's. Returns the keys of those
-- that were on sale.
CREATE FUNCTION catalog_sync_retire(sync uuid, lasts interval, keys text[]) RETURNS TABLE (source_key text)
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    ids uuid[];
BEGIN
    PERFORM catalog_sync_go_on(sync, lasts);
    LOCK TABLE listings IN SHARE UPDATE EXCLUSIVE MODE;
    ids := ARRAY(SELECT known.listing_id FROM source_listings AS known WHERE known.key = ANY(keys));
    PERFORM FROM listings WHERE id = ANY(ids) ORDER BY id FOR NO KEY UPDATE;
    RETURN QUERY
    WITH ended AS (
        UPDATE listings SET active = false, updated_at = now() WHERE id = ANY(ids) AND active RETURNING id
    )
    SELECT known.key FROM ended JOIN source_listings AS known ON known.listing_id = ended.id ORDER BY known.key;
    DELETE FROM source_listings WHERE listing_id = ANY(ids);
END
$$;

REVOKE EXECUTE ON FUNCTION catalog_sync_begin(interval), catalog_sync_go_on(uuid, interval),
    catalog_sync_end(uuid, catalog_sync_state, integer[], text, boolean), catalog_sync_write(uuid, interval, text[], jsonb),
    catalog_sync_retire(uuid, interval, text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION catalog_sync_begin(interval), catalog_sync_go_on(uuid, interval),
    catalog_sync_end(uuid, catalog_sync_state, integer[], text, boolean), catalog_sync_write(uuid, interval, text[], jsonb),
    catalog_sync_retire(uuid, interval, text[]) TO checkout_worker;

DO $$
DECLARE
    of_owner text;
BEGIN
    FOREACH of_owner IN ARRAY ARRAY['catalog_sync_begin(interval)', 'catalog_sync_go_on(uuid, interval)',
        'catalog_sync_end(uuid, catalog_sync_state, integer[], text, boolean)',
        'catalog_sync_write(uuid, interval, text[], jsonb)', 'catalog_sync_retire(uuid, interval, text[])']
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', of_owner, current_schema());
    END LOOP;
END
$$;
