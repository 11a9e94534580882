-- Names of reports of settled money that webhooks told of, for who fetches those: names alone, never a body.
--
-- Adyen's REPORT_AVAILABLE may be unsigned. One that is signed says nothing of a payment, and is ignored; one that is not is
-- rejected, and anybody may have sent it. So those that were verified come first, and a name has to look like one of a report. What
-- is read is bounded, in rows and in bytes, and a body of any form does no more than say nothing.

-- The names in one body, each with its merchant account: "ShopECOM/settlement_detail_report_batch_41.csv".
CREATE FUNCTION settlement_notices_in(body bytea) RETURNS SETOF text LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE
    content text;
BEGIN
    -- A zero byte is in no text, and a text of bytes is always one in LATIN1: what is looked for is ASCII.
    IF octet_length(body) > 16384 OR position('REPORT_AVAILABLE'::bytea IN body) = 0 OR position('\x00'::bytea IN body) > 0 THEN
        RETURN;
    END IF;
    content := convert_from(body, 'LATIN1');
    -- Thousands of brackets would be too deep for the reader of JSON, which is no mistake that it can be asked about.
    IF regexp_count(content, '[[{]') > 64 OR NOT pg_input_is_valid(content, 'jsonb') THEN
        RETURN;
    END IF;
    RETURN QUERY
    SELECT DISTINCT account || '/' || file
    FROM jsonb_path_query(content::jsonb, 'lax $.notificationItems[*].NotificationRequestItem') AS item
    CROSS JOIN LATERAL (VALUES (item ->> 'merchantAccountCode', item ->> 'pspReference')) AS names (account, file)
    WHERE item ->> 'eventCode' = 'REPORT_AVAILABLE' AND length(account) <= 80 AND account ~ '^[A-Za-z0-9][A-Za-z0-9_.-]*$'
        AND length(file) <= 200 AND file ~ '^settlement_detail_report[A-Za-z0-9._-]*\.csv$';
END
$$;

-- The newest notices that came after a time, at most so many (100): verified ones first. Of each state the newest 2,000 webhooks of
-- Adyen are looked at, among the newest 100,000 of whoever they are (another provider's secret may be wrong for days), along
-- webhook_deliveries_rare_states (which no plan without the state itself would use), and 16 MiB of their bodies.
CREATE FUNCTION settlement_notices(after timestamptz, most integer)
RETURNS TABLE (name text, received_at timestamptz, is_verified boolean)
LANGUAGE plpgsql STABLE STRICT SECURITY DEFINER SET plan_cache_mode = force_custom_plan AS $$
#variable_conflict use_column
DECLARE
    bytes CONSTANT bigint := 16777216;
    webhook record;
    looked_at text;
    read_bytes bigint := 0;
    found_name text;
    names text[] := '{}';
BEGIN
    FOREACH looked_at IN ARRAY ARRAY['ignored', 'rejected'] LOOP
        FOR webhook IN
            SELECT delivery.received_at AS at, octet_length(delivery.body) AS size, delivery.id
            FROM (
                SELECT * FROM webhook_deliveries AS each WHERE each.state = looked_at ORDER BY each.id DESC LIMIT 100000
            ) AS delivery
            WHERE delivery.provider = 'adyen' ORDER BY delivery.id DESC LIMIT 2000
        LOOP
            CONTINUE WHEN webhook.at <= after OR webhook.size IS NULL OR webhook.size > 16384;
            read_bytes := read_bytes + webhook.size;
            EXIT WHEN read_bytes > bytes;
            FOR found_name IN
                SELECT of_body FROM webhook_deliveries AS delivery, settlement_notices_in(delivery.body) AS of_body
                WHERE delivery.id = webhook.id
            LOOP
                CONTINUE WHEN found_name = ANY(names);
                RETURN QUERY SELECT found_name, webhook.at, looked_at = 'ignored';
                names := names || found_name;
                IF cardinality(names) >= least(most, 100) THEN
                    RETURN;
                END IF;
            END LOOP;
        END LOOP;
    END LOOP;
END
$$;

REVOKE EXECUTE ON FUNCTION settlement_notices_in(bytea) FROM PUBLIC;
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION settlement_notices(timestamptz, integer) SET search_path = %I, pg_temp', current_schema());
END
$$;
REVOKE EXECUTE ON FUNCTION settlement_notices(timestamptz, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION settlement_notices(timestamptz, integer) TO checkout_settlements;
