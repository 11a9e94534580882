-- Stock: what lies there, what of it is reserved, and for whom. A hold takes pieces for a payment before its provider is
-- asked; sold, it keeps them until they are fulfilled. Whoever takes, gives back or moves pieces writes the hold first and
-- the counter last, counters in the order of their listings: nobody who has a counter waits for anything else.

-- A listing's counter, so that holds do not lock the listing. reserved is the sum of its holds' reserved, always.
-- Half of a page stays free: a counter that is changed a thousand times a second keeps its place in the index.
CREATE TABLE stock_counters (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT stock_counters_pkey PRIMARY KEY,
    listing_id uuid NOT NULL CONSTRAINT stock_counters_listing_id_fkey REFERENCES listings (id) ON DELETE CASCADE,
    stock integer CONSTRAINT stock_counters_stock_not_negative CHECK (stock >= 0),
    reserved integer DEFAULT 0 NOT NULL CONSTRAINT stock_counters_reserved_not_negative CHECK (reserved >= 0),
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL
) WITH (fillfactor = 50);

CREATE UNIQUE INDEX stock_counters_listing_id ON stock_counters (listing_id);

CREATE TYPE hold_state AS ENUM ('held', 'sold');

-- A hold that ended is deleted. It has no keys to other tables: its payment comes after it, and a key to the listing would
-- have every customer of a hot listing lock one row. While instead_of names an older payment of the same filling of the
-- cart, whose holds this one is about to take over, it reserves only what goes beyond those: each row tells by itself how
-- much of its counter is its own.
CREATE TABLE holds (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT holds_pkey PRIMARY KEY,
    payment_id uuid NOT NULL,
    listing_id uuid NOT NULL,
    user_id uuid,
    qty integer NOT NULL CONSTRAINT holds_qty_positive CHECK (qty > 0),
    reserved integer NOT NULL CONSTRAINT holds_reserved_of_qty CHECK (reserved BETWEEN 0 AND qty),
    state hold_state DEFAULT 'held' NOT NULL,
    until timestamptz,
    instead_of uuid,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT holds_held_have_end CHECK ((state = 'held') = (until IS NOT NULL)),
    CONSTRAINT holds_sold_are_whole CHECK (state = 'held' OR reserved = qty AND instead_of IS NULL)
);

CREATE UNIQUE INDEX holds_payment_id_listing_id ON holds (payment_id, listing_id);
CREATE INDEX holds_until ON holds (until) WHERE state = 'held';
CREATE INDEX holds_user_id ON holds (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX holds_listing_id ON holds (listing_id);


-- Until when a session's holds stay, if nobody pays: written by web tiers that take holds. None: of the release before.
ALTER TABLE checkout_sessions ADD held_until timestamptz, ADD also_under_way uuid[] DEFAULT '{}' NOT NULL;

-- Nobody reads it any more, and to compute it took an eighth of what inserting a session takes.
ALTER TABLE checkout_sessions DROP lines_key;

-- The same as before, called in place of inlined: PostgreSQL puts a function of SQL into the CHECKs of amounts anew, and
-- plans it, in each statement that writes such a row. That took another eighth.
CREATE OR REPLACE FUNCTION currency_decimals(currency text) RETURNS integer LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN CASE
        WHEN currency IN ('BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF', 'UGX', 'VND', 'VUV', 'XAF',
            'XOF', 'XPF') THEN 0
        WHEN currency IN ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND') THEN 3
        ELSE 2
    END;
END
$$;


-- What lies there goes from the listing to its counter, whoever wrote it: the import, `flask stock`, a person's UPDATE. A
-- listing that was deleted and is there again has the holds of before.
CREATE FUNCTION listings_carry_stock() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO stock_counters (listing_id, stock, reserved)
        SELECT id, stock, (SELECT coalesce(sum(hold.reserved), 0) FROM holds AS hold WHERE hold.listing_id = changed.id)
        FROM changed WHERE stock IS NOT NULL ORDER BY id
        ON CONFLICT (listing_id) DO UPDATE SET stock = excluded.stock, updated_at = now();
    ELSE
        INSERT INTO stock_counters (listing_id, stock, reserved)
        SELECT changed.id, changed.stock,
            (SELECT coalesce(sum(hold.reserved), 0) FROM holds AS hold WHERE hold.listing_id = changed.id)
        FROM changed JOIN before USING (id)
        WHERE changed.stock IS DISTINCT FROM before.stock ORDER BY changed.id
        ON CONFLICT (listing_id) DO UPDATE SET stock = excluded.stock, updated_at = now();
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER listings_carry_stock_of_new AFTER INSERT ON listings REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION listings_carry_stock();
CREATE TRIGGER listings_carry_stock AFTER UPDATE ON listings REFERENCING OLD TABLE AS before NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION listings_carry_stock();

INSERT INTO stock_counters (listing_id, stock) SELECT id, stock FROM listings WHERE stock IS NOT NULL ORDER BY id;


-- Adds to what is reserved of listings, whatever lies there. Counters in order, so that two of these follow each other.
CREATE FUNCTION counters_add(listings uuid[], pieces integer[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM stock_counters WHERE listing_id = ANY(listings) ORDER BY listing_id FOR NO KEY UPDATE;
    -- Not below zero, should somebody have changed a counter by hand: that must never keep money from being recorded.
    UPDATE stock_counters AS counter SET reserved = greatest(counter.reserved + given.pieces, 0), updated_at = now()
    FROM (SELECT listing, sum(number)::integer AS pieces FROM unnest(listings, pieces) AS each (listing, number)
        GROUP BY listing) AS given
    WHERE counter.listing_id = given.listing AND given.pieces <> 0;
END
$$;

-- Ends holds of payments in this state: deletes them, and gives back what they reserved. Returns how many ended.
CREATE FUNCTION holds_end(payments uuid[], in_state hold_state) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    listings uuid[];
    pieces integer[];
BEGIN
    PERFORM FROM holds WHERE payment_id = ANY(payments) AND state = in_state ORDER BY payment_id, listing_id FOR UPDATE;
    WITH ended AS (
        DELETE FROM holds WHERE payment_id = ANY(payments) AND state = in_state RETURNING listing_id, reserved
    )
    SELECT array_agg(listing_id), array_agg(-reserved) INTO listings, pieces FROM ended;
    IF listings IS NULL THEN
        RETURN 0;
    END IF;
    PERFORM counters_add(listings, pieces);
    RETURN cardinality(listings);
END
$$;

-- The older payment of this filling of the cart whose holds a new one takes over: nothing of it is under way, authorized or
-- came. It may be expired or canceled and hold pieces all the same, where an attempt ended and nobody closed the payment.
-- Several new ones may be about to: the first session has them, and the next one takes them over from that.
CREATE FUNCTION payment_before(payment uuid, cart uuid, filling integer) RETURNS uuid LANGUAGE sql STABLE AS $$
    SELECT session.payment_id
    FROM checkout_sessions AS session JOIN payments AS older ON older.id = session.payment_id
    WHERE session.cart_id = cart AND session.generation = filling AND session.payment_id <> payment
        AND older.status IN ('pending', 'failed', 'expired', 'canceled') AND NOT older.under_way
        AND older.amount_authorized = 0 AND older.amount_captured = 0
        AND EXISTS (SELECT FROM holds WHERE holds.payment_id = session.payment_id AND state = 'held')
    ORDER BY session.id DESC LIMIT 1
$$;

-- Takes holds for a payment that is about to be opened, all or none; for two minutes, until its session proves them. No row:
-- they are held. Else a row for each listing of which there is too little; or one without a listing. With full_for: the
-- caller holds as many pieces as one may, and in so many seconds the first of them end. Without: more are wanted than
-- anybody may hold, who may hold the available.
-- Where others were faster it raises holds_in_stock: called once more, it tells what is short. Retries of one key share
-- their holds; one whose cart changed meanwhile replaces them.
-- The commit is not waited for: the session's INSERT stands behind it in the WAL, and proves the holds again.
CREATE FUNCTION hold_take(
    payment uuid, owner uuid, cart uuid, filling integer, listings uuid[], quantities integer[],
    most_of_owner integer DEFAULT 0, of_address bytea DEFAULT NULL, most_of_address integer DEFAULT 0
) RETURNS TABLE (listing uuid, pieces integer, available integer, full_for integer)
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    older uuid;
    is_again boolean;
    held_of_address bigint := 0;
    is_short boolean := false;
    counted integer := 0;
    unreserved integer;
    all_pieces bigint := 0;
    most integer;
    line record;
    unread text;
BEGIN
    IF (cardinality(listings) = cardinality(quantities) AND array_position(listings, NULL) IS NULL
            AND array_position(quantities, NULL) IS NULL AND 0 < ALL (quantities)) IS NOT TRUE THEN
        RAISE EXCEPTION 'each listing has a quantity above 0' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- Read without a lock: whoever comes late costs nobody anything.
    FOR place IN 1..cardinality(listings) LOOP
        SELECT counter.stock - counter.reserved INTO unreserved
        FROM stock_counters AS counter WHERE counter.listing_id = listings[place];
        IF unreserved IS NOT NULL AND (place = 1 OR listings[place] > listings[place - 1]) THEN
            counted := counted + 1;
        END IF;
        is_short := is_short OR coalesce(unreserved < quantities[place], false);
        all_pieces := all_pieces + quantities[place];
    END LOOP;
    IF counted < cardinality(listings) THEN
        -- From here on only what is counted, each listing once, in order.
        SELECT coalesce(array_agg(given.listing ORDER BY given.listing), '{}'),
            coalesce(array_agg(given.number ORDER BY given.listing), '{}'), coalesce(sum(given.number), 0)
        INTO listings, quantities, all_pieces
        FROM (
            SELECT each.listing, least(sum(each.number), 2147483647)::integer AS number
            FROM unnest(listings, quantities) AS each (listing, number) GROUP BY each.listing
        ) AS given
        JOIN stock_counters AS counter ON counter.listing_id = given.listing AND counter.stock IS NOT NULL;
        is_short := true;
    END IF;
    IF is_short THEN
        -- Perhaps: what this payment or the older one reserves is there as well. Which one is older is read along: another
        -- session may have taken its pieces over since.
        RETURN QUERY
        SELECT counter.listing_id, given.number,
            greatest(counter.stock - counter.reserved + coalesce(own.reserved, 0) + coalesce(before.reserved, 0), 0),
            NULL::integer
        FROM unnest(listings, quantities) AS given (listing, number)
        JOIN stock_counters AS counter ON counter.listing_id = given.listing
        LEFT JOIN holds AS own ON own.payment_id = payment AND own.listing_id = given.listing
        LEFT JOIN holds AS before
            ON before.payment_id = (SELECT payment_before(payment, cart, filling)) AND before.listing_id = given.listing
        WHERE counter.stock - counter.reserved + coalesce(own.reserved, 0) + coalesce(before.reserved, 0) < given.number
        ORDER BY counter.listing_id;
        IF FOUND THEN
            RETURN;
        END IF;
    END IF;

    -- What one customer takes at once is taken one after the other: else the bound would count what is not yet there.
    -- Mostly nothing but the holds is left to do then: no session of this filling came before, and no retry holds anything.
    SELECT EXISTS (SELECT FROM checkout_sessions WHERE cart_id = cart AND generation = filling)
        OR EXISTS (SELECT FROM holds WHERE payment_id = payment)
    INTO is_again FROM users WHERE id = owner FOR NO KEY UPDATE;
    IF is_again IS NOT FALSE THEN
        older := payment_before(payment, cart, filling);
    END IF;
    most := least(nullif(most_of_owner, 0), CASE WHEN of_address IS NOT NULL THEN nullif(most_of_address, 0) END);
    IF all_pieces > most THEN
        RETURN QUERY SELECT NULL::uuid, least(all_pieces, 2147483647)::integer, most, NULL::integer;
        RETURN;
    END IF;
    -- As an assignment it is no statement of its own.
    unread := set_config('synchronous_commit', 'off', true);
    IF all_pieces > 0 AND NOT is_again THEN
        -- Where the customer or the address holds too many, nothing is inserted, and what follows says until when.
        IF of_address IS NOT NULL AND most_of_address > 0 THEN
            SELECT coalesce(sum(hold.qty), 0) INTO held_of_address
            FROM session_addresses AS here JOIN holds AS hold ON hold.payment_id = here.payment_id
            WHERE here.address = of_address AND hold.state = 'held';
        END IF;
        INSERT INTO holds (payment_id, listing_id, user_id, qty, reserved, until)
        SELECT payment, given.listing, owner, given.number, given.number, now() + interval '2 minutes'
        FROM unnest(listings, quantities) AS given (listing, number)
        WHERE (most_of_owner = 0 OR most_of_owner >= all_pieces + coalesce((SELECT sum(hold.qty) FROM holds AS hold
                WHERE hold.user_id = owner AND hold.state = 'held'), 0))
            AND (most_of_address = 0 OR of_address IS NULL OR most_of_address >= all_pieces + held_of_address)
        ON CONFLICT (payment_id, listing_id) DO NOTHING;
        GET DIAGNOSTICS counted = ROW_COUNT;
        IF counted = cardinality(listings) THEN
            -- The counters come after all holds, in the order of their listings.
            FOR place IN 1..counted LOOP
                UPDATE stock_counters AS counter SET reserved = counter.reserved + quantities[place], updated_at = now()
                WHERE counter.listing_id = listings[place] AND counter.stock - counter.reserved >= quantities[place];
                IF NOT FOUND THEN
                    RAISE EXCEPTION 'others took what was left of listing %', listings[place]
                        USING ERRCODE = 'check_violation', CONSTRAINT = 'holds_in_stock';
                END IF;
            END LOOP;
            RETURN;
        ELSIF counted > 0 THEN
            RAISE EXCEPTION 'a retry of payment % holds something by now', payment
                USING ERRCODE = 'check_violation', CONSTRAINT = 'holds_in_stock';
        END IF;
    END IF;
    IF all_pieces > 0 THEN
        -- What is held for this payment or for the older one does not count.
        RETURN QUERY
        SELECT NULL::uuid, NULL::integer, NULL::integer,
            greatest(ceil(extract(epoch FROM max(bound.until) - now())), 1)::integer
        FROM (
            SELECT min(greatest(hold.until, session.held_until)) AS until
            FROM holds AS hold LEFT JOIN checkout_sessions AS session ON session.payment_id = hold.payment_id
            WHERE hold.user_id = owner AND hold.state = 'held'
                AND hold.payment_id <> payment AND hold.payment_id IS DISTINCT FROM older
            HAVING most_of_owner > 0 AND sum(hold.qty) + all_pieces > most_of_owner
            UNION ALL
            SELECT min(greatest(hold.until, session.held_until))
            FROM session_addresses AS here JOIN holds AS hold ON hold.payment_id = here.payment_id
            JOIN checkout_sessions AS session ON session.payment_id = hold.payment_id
            WHERE here.address = of_address AND hold.state = 'held'
                AND hold.payment_id <> payment AND hold.payment_id IS DISTINCT FROM older
            HAVING most_of_address > 0 AND sum(hold.qty) + all_pieces > most_of_address
        ) AS bound HAVING count(*) > 0;
        IF FOUND THEN
            RETURN;
        END IF;
    END IF;

    IF all_pieces > 0 AND NOT is_again THEN
        -- Or the caller's others ended meanwhile.
        RAISE EXCEPTION 'a retry of payment % holds something by now', payment
            USING ERRCODE = 'check_violation', CONSTRAINT = 'holds_in_stock';
    END IF;
    PERFORM FROM holds WHERE payment_id IN (payment, older) ORDER BY payment_id, listing_id FOR UPDATE;
    IF EXISTS (SELECT FROM checkout_sessions WHERE payment_id = payment) THEN
        -- A retry of this key was faster: they are its session's.
        RETURN;
    END IF;
    IF older IS NOT NULL AND older IS DISTINCT FROM payment_before(payment, cart, filling) THEN
        RAISE EXCEPTION 'others took over what payment % held', older
            USING ERRCODE = 'check_violation', CONSTRAINT = 'holds_in_stock';
    END IF;
    -- They stay until the new session takes them over, whatever their end.
    UPDATE holds SET until = greatest(until, now() + interval '2 minutes'), updated_at = now()
    WHERE payment_id = older AND state = 'held';
    FOR line IN
        WITH written AS (
            INSERT INTO holds AS hold (payment_id, listing_id, user_id, qty, reserved, until, instead_of)
            SELECT payment, given.listing, owner, given.number, greatest(given.number - coalesce(before.reserved, 0), 0),
                now() + interval '2 minutes', older
            FROM unnest(listings, quantities) AS given (listing, number)
            LEFT JOIN holds AS before ON before.payment_id = older AND before.listing_id = given.listing
                AND before.state = 'held'
            ORDER BY given.listing
            ON CONFLICT (payment_id, listing_id) DO UPDATE
            SET qty = excluded.qty, reserved = excluded.reserved, until = greatest(hold.until, excluded.until),
                instead_of = excluded.instead_of, updated_at = now()
            RETURNING listing_id, new.reserved - coalesce(old.reserved, 0) AS more
        ), dropped AS (
            DELETE FROM holds WHERE payment_id = payment AND NOT listing_id = ANY(listings)
            RETURNING listing_id, -reserved AS more
        )
        SELECT listing_id, more FROM written WHERE more <> 0
        UNION ALL
        SELECT listing_id, more FROM dropped WHERE more <> 0
        ORDER BY listing_id
    LOOP
        UPDATE stock_counters AS counter SET reserved = counter.reserved + line.more, updated_at = now()
        WHERE counter.listing_id = line.listing_id AND (line.more < 0 OR counter.stock - counter.reserved >= line.more);
        IF NOT FOUND AND line.more > 0 THEN
            RAISE EXCEPTION 'others took what was left of listing %', line.listing_id
                USING ERRCODE = 'check_violation', CONSTRAINT = 'holds_in_stock';
        END IF;
    END LOOP;
END
$$;

-- Gives back at once what was taken for a payment that was not opened after all. Returns how many holds ended.
CREATE FUNCTION hold_release(payment uuid) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM FROM holds WHERE payment_id = payment AND state = 'held' ORDER BY listing_id FOR UPDATE;
    -- A retry of the key may have opened it, while this waited for the locks: then they are its session's.
    IF NOT FOUND OR EXISTS (SELECT FROM checkout_sessions WHERE payment_id = payment) THEN
        RETURN 0;
    END IF;
    PERFORM set_config('synchronous_commit', 'off', true);
    RETURN holds_end(ARRAY[payment], 'held');
END
$$;

-- A new session proves that its holds equal its lines, keeps them for as long as it says, and takes over those of the older
-- session for the same filling of the cart, if nothing of that is under way by now. Refused otherwise, by the name
-- holds_equal_lines or holds_in_stock.
CREATE FUNCTION checkout_sessions_prove_holds() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    older uuid;
    line record;
    given jsonb;
    place integer := 0;
    is_proven boolean := true;
BEGIN
    -- Mostly no session came before it for this filling of the cart, and each line has its hold, in order: then nothing is
    -- left to do but to keep others from ending them, and holds_sweep learns from the session how long they stay.
    -- Joined to nothing, so that they are unpacked once where they are many.
    given := NEW.lines || '[]';
    FOR line IN
        SELECT listing_id, qty, reserved = qty AND instead_of IS NULL AS is_whole FROM holds
        WHERE payment_id = NEW.payment_id AND NOT EXISTS (
            SELECT FROM checkout_sessions AS other WHERE other.cart_id = NEW.cart_id AND other.generation = NEW.generation
                AND other.payment_id <> NEW.payment_id
        )
        ORDER BY listing_id FOR UPDATE
    LOOP
        is_proven := is_proven AND line.is_whole AND line.listing_id = (given -> place ->> 'listing_id')::uuid
            AND line.qty = (given -> place ->> 'qty')::integer;
        place := place + 1;
    END LOOP;
    is_proven := is_proven AND place = jsonb_array_length(given);
    IF place = 0 THEN
        -- Or no line has stock that is tracked.
        is_proven := NOT EXISTS (
            SELECT FROM checkout_sessions AS other WHERE other.cart_id = NEW.cart_id AND other.generation = NEW.generation
                AND other.payment_id <> NEW.payment_id
        ) AND NOT EXISTS (
            SELECT FROM jsonb_array_elements(NEW.lines) AS each (line) WHERE (
                SELECT counter.stock FROM stock_counters AS counter
                WHERE counter.listing_id = (each.line ->> 'listing_id')::uuid
            ) IS NOT NULL
        );
    END IF;
    IF is_proven THEN
        RETURN NULL;
    END IF;
    older := payment_before(NEW.payment_id, NEW.cart_id, NEW.generation);
    IF older IS NOT NULL THEN
        -- Payments before holds. Whoever records that it went under way has it locked.
        PERFORM FROM payments WHERE id = older FOR SHARE;
        PERFORM FROM holds WHERE payment_id IN (NEW.payment_id, older) ORDER BY payment_id, listing_id FOR UPDATE;
        IF older IS DISTINCT FROM payment_before(NEW.payment_id, NEW.cart_id, NEW.generation) THEN
            older := NULL;
        END IF;
    ELSE
        PERFORM FROM holds WHERE payment_id = NEW.payment_id ORDER BY listing_id FOR UPDATE;
    END IF;
    IF EXISTS (
        SELECT
        FROM (
            SELECT (each.line ->> 'listing_id')::uuid AS listing_id, sum((each.line ->> 'qty')::integer) AS qty
            FROM jsonb_array_elements(NEW.lines) AS each (line) GROUP BY 1
        ) AS given
        LEFT JOIN stock_counters AS counter USING (listing_id)
        FULL JOIN (SELECT listing_id, qty FROM holds WHERE payment_id = NEW.payment_id) AS own USING (listing_id)
        WHERE own.qty IS DISTINCT FROM given.qty AND (own.qty IS NOT NULL OR counter.stock IS NOT NULL)
    ) THEN
        RAISE EXCEPTION 'the holds of payment % are not its lines', NEW.payment_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'holds_equal_lines';
    END IF;
    FOR line IN
        SELECT listing_id, coalesce(own.qty - own.reserved, 0) - coalesce(before.reserved, 0) AS more
        FROM (SELECT listing_id, qty, reserved FROM holds WHERE payment_id = NEW.payment_id) AS own
        FULL JOIN (SELECT listing_id, reserved FROM holds WHERE payment_id = older AND state = 'held') AS before
            USING (listing_id)
        ORDER BY listing_id
    LOOP
        CONTINUE WHEN line.more = 0;
        UPDATE stock_counters AS counter SET reserved = counter.reserved + line.more, updated_at = now()
        WHERE counter.listing_id = line.listing_id
            AND (line.more < 0 OR counter.stock IS NULL OR counter.stock - counter.reserved >= line.more);
        IF NOT FOUND AND line.more > 0 THEN
            RAISE EXCEPTION 'others took what was left of listing %', line.listing_id
                USING ERRCODE = 'check_violation', CONSTRAINT = 'holds_in_stock';
        END IF;
    END LOOP;
    IF older IS NOT NULL THEN
        DELETE FROM holds WHERE payment_id = older AND state = 'held';
    END IF;
    UPDATE holds SET until = NEW.held_until, reserved = qty, instead_of = NULL, updated_at = now()
    WHERE payment_id = NEW.payment_id;
    RETURN NULL;
END
$$;

CREATE TRIGGER checkout_sessions_prove_holds AFTER INSERT ON checkout_sessions FOR EACH ROW
WHEN (NEW.held_until IS NOT NULL) EXECUTE FUNCTION checkout_sessions_prove_holds();

-- Ends holds whose time is over, most of them at a time. Those that a session proved stay until it says. While money is under
-- way, authorized, or came in part, they stay for as long as the provider's methods take, and are looked at again every ten
-- minutes. What a late retry took after its session was there is nobody's, and ends like that of none; not so what was taken
-- while the session waited for its locks, which it proved as well, and a clock may have been set. limits has the seconds
-- after the session's end for each provider, and under '' for any other. Returns how many holds it looked at, and how many
-- ended.
CREATE FUNCTION holds_sweep(most integer, limits jsonb) RETURNS TABLE (seen integer, ended integer)
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    due uuid[];
    listings uuid[];
    pieces integer[];
BEGIN
    due := ARRAY(SELECT id FROM holds WHERE state = 'held' AND until <= now() ORDER BY until LIMIT most
        FOR UPDATE SKIP LOCKED);
    UPDATE holds AS hold
    SET until = CASE WHEN session.held_until > now() THEN session.held_until
            ELSE least(session.expires_at + kept.longest, now() + interval '10 minutes') END,
        updated_at = now()
    FROM payments AS payment JOIN checkout_sessions AS session ON session.payment_id = payment.id
    CROSS JOIN LATERAL (SELECT coalesce(limits ->> payment.provider, limits ->> '', '0')::integer * interval '1 second')
        AS kept (longest)
    WHERE hold.id = ANY(due) AND payment.id = hold.payment_id AND hold.created_at < session.created_at + interval '5 seconds' AND (
        session.held_until > now()
        OR session.expires_at + kept.longest > now()
            AND (payment.under_way OR payment.amount_authorized > 0 OR payment.amount_captured > 0)
    );
    WITH over AS (
        DELETE FROM holds WHERE id = ANY(due) AND until <= now() RETURNING listing_id, reserved
    )
    SELECT array_agg(listing_id), array_agg(-reserved) INTO listings, pieces FROM over;
    IF listings IS NOT NULL THEN
        PERFORM counters_add(listings, pieces);
    END IF;
    RETURN QUERY SELECT cardinality(due), coalesce(cardinality(listings), 0);
END
$$;


DO $$
DECLARE
    owned text;
BEGIN
    FOREACH owned IN ARRAY ARRAY['listings_carry_stock()',
        'hold_take(uuid, uuid, uuid, integer, uuid[], integer[], integer, bytea, integer)', 'hold_release(uuid)',
        'checkout_sessions_prove_holds()', 'holds_sweep(integer, jsonb)'] LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', owned, current_schema());
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', owned);
    END LOOP;
END
$$;

-- Else these are planned anew for each session: a plan for one line looks cheaper than the one for any number, by less than
-- it takes to make it.
ALTER FUNCTION hold_take(uuid, uuid, uuid, integer, uuid[], integer[], integer, bytea, integer)
    SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION checkout_sessions_prove_holds() SET plan_cache_mode = force_generic_plan;

GRANT SELECT ON stock_counters, holds TO checkout_web, checkout_worker;
GRANT INSERT (held_until, also_under_way) ON checkout_sessions TO checkout_web;
GRANT EXECUTE ON FUNCTION hold_take(uuid, uuid, uuid, integer, uuid[], integer[], integer, bytea, integer),
    hold_release(uuid) TO checkout_web;
GRANT EXECUTE ON FUNCTION holds_sweep(integer, jsonb) TO checkout_worker;
