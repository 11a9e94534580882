-- Orders: what a customer bought, made of the session as it was sealed, in the transaction that first makes its payment paid,
-- or authorized. payments_fold makes them, whatever path the news came by, so no login role may insert one.
--
-- Locks: carts, payments and entries are the caller's. Here follow orders, holds, counters, in this order (docs/decisions).

CREATE TYPE order_status AS ENUM ('placed', 'short', 'partially_fulfilled', 'fulfilled', 'on_hold', 'canceled');

-- The key of a row of a set. Those of one set share their first 13 bytes: the time, and 50 random bits. Some builds of
-- PostgreSQL open the system's source of random bytes for each call of uuidv7(), which takes longer than to write the row.
CREATE FUNCTION uuid_in_set(first uuid, place bigint) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN overlay(first::text PLACING lpad(to_hex(place % 16777216), 6, '0') FROM 31)::uuid;

-- Orders and their lines have no keys to other tables: the fold makes an order of its session and of its payment, whose locks
-- it holds, and lines of their order, nobody deletes any, and to look each up and lock it again costs more than to write it.
CREATE TABLE orders (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT orders_pkey PRIMARY KEY,
    -- For people, without a gap. Given right after the order was made: none for moments.
    number bigint,
    number_prefix text DEFAULT '' NOT NULL,
    session_id uuid NOT NULL,
    payment_id uuid NOT NULL,
    cart_id uuid NOT NULL,
    generation integer,
    user_id uuid NOT NULL,
    amount numeric NOT NULL,
    currency char(3) NOT NULL,
    status order_status DEFAULT 'placed' NOT NULL,
    buyer jsonb,
    delivery_address jsonb,
    canceled_at timestamptz,
    erased_at timestamptz,
    version integer DEFAULT 1 NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL
) WITH (fillfactor = 50);

-- No index names the number, and half of a page stays free: so an order that gets its number keeps its place in all of them.
CREATE UNIQUE INDEX orders_session_id ON orders (session_id);
CREATE UNIQUE INDEX orders_payment_id ON orders (payment_id);
CREATE UNIQUE INDEX orders_cart_id_generation ON orders (cart_id, generation);
CREATE INDEX orders_user_id_created_at_id ON orders (user_id, created_at, id);
-- With the id, since lists show the newest first: pages of them sort nothing.
CREATE INDEX orders_email_id ON orders (lower(buyer ->> 'email'), id) WHERE buyer IS NOT NULL;
CREATE INDEX orders_status_id ON orders (status, id) WHERE status <> 'fulfilled';

CREATE TABLE order_lines (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT order_lines_pkey PRIMARY KEY,
    order_id uuid NOT NULL,
    place integer NOT NULL,
    listing_id uuid NOT NULL,
    vendor_id uuid,
    title text NOT NULL,
    vendor text,
    school text,
    spec text,
    qty integer NOT NULL CONSTRAINT order_lines_qty_positive CHECK (qty > 0),
    unit_price numeric NOT NULL,
    line_total numeric NOT NULL,
    qty_fulfilled integer DEFAULT 0 NOT NULL,
    qty_short integer DEFAULT 0 NOT NULL,
    qty_canceled integer DEFAULT 0 NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT order_lines_pieces_of_qty
        CHECK (least(qty_fulfilled, qty_short, qty_canceled) >= 0 AND qty_fulfilled + qty_short + qty_canceled <= qty)
);

CREATE INDEX order_lines_order_id_place ON order_lines (order_id, place);
CREATE INDEX order_lines_vendor_id_order_id ON order_lines (vendor_id, order_id);

-- Why a payment for which money came, or is authorized, has no order. No review that a person clears touches it.
CREATE TABLE order_reasons (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT order_reasons_pkey PRIMARY KEY,
    payment_id uuid NOT NULL CONSTRAINT order_reasons_payment_id_fkey REFERENCES payments (id),
    reason text NOT NULL CONSTRAINT order_reasons_reason_known
        CHECK (reason IN ('duplicate_of', 'mismatch', 'no_session', 'before_orders')),
    other_payment_id uuid,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT order_reasons_other_of_duplicate CHECK ((reason = 'duplicate_of') = (other_payment_id IS NOT NULL))
);

CREATE UNIQUE INDEX order_reasons_payment_id ON order_reasons (payment_id);

-- The series: each number once, by the id of its order. The greatest is the last that was given.
CREATE TABLE order_numbers (
    id uuid NOT NULL CONSTRAINT order_numbers_pkey PRIMARY KEY,
    number bigint NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL
);

CREATE UNIQUE INDEX order_numbers_number ON order_numbers (number);

-- Has no rows. Whoever gives numbers locks it through the commit: no vacuum ever holds it, as one of the series would.
CREATE TABLE order_numbering (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT order_numbering_pkey PRIMARY KEY,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL
);

-- Orders that wait for their numbers, a row for each set that was made.
CREATE TABLE unnumbered_orders (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT unnumbered_orders_pkey PRIMARY KEY,
    orders uuid[] NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL
);

CREATE FUNCTION orders_wait_for_numbers() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO unnumbered_orders (orders) SELECT array_agg(id) FROM made WHERE number IS NULL HAVING count(*) > 0;
    RETURN NULL;
END
$$;

CREATE TRIGGER orders_wait_for_numbers AFTER INSERT ON orders REFERENCING NEW TABLE AS made
FOR EACH STATEMENT EXECUTE FUNCTION orders_wait_for_numbers();

-- What was handed to a carrier, or to the customer. lines is what of each line: [{"line_id", "qty"}], filled in where the
-- request names none. Never changed.
CREATE TABLE fulfilments (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT fulfilments_pkey PRIMARY KEY,
    order_id uuid NOT NULL CONSTRAINT fulfilments_order_id_fkey REFERENCES orders (id),
    lines jsonb,
    carrier text,
    tracking text,
    requested_by uuid NOT NULL,
    idempotency_key text NOT NULL,
    request_hash bytea NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL
);

CREATE INDEX fulfilments_order_id ON fulfilments (order_id);
CREATE UNIQUE INDEX fulfilments_requested_by_idempotency_key ON fulfilments (requested_by, idempotency_key);

-- Somebody canceled an order: once. Its refunds have requested_by, and 'cancellation ' and its id as their key.
CREATE TABLE order_cancellations (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT order_cancellations_pkey PRIMARY KEY,
    order_id uuid NOT NULL CONSTRAINT order_cancellations_order_id_fkey REFERENCES orders (id),
    reason text,
    requested_by uuid NOT NULL,
    idempotency_key text NOT NULL,
    request_hash bytea NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL
);

CREATE UNIQUE INDEX order_cancellations_order_id ON order_cancellations (order_id);
CREATE UNIQUE INDEX order_cancellations_requested_by_idempotency_key
ON order_cancellations (requested_by, idempotency_key);

-- Which pieces a refund is for. Those of one request hang on its first row (part 0). Never changed.
CREATE TABLE refund_lines (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT refund_lines_pkey PRIMARY KEY,
    refund_id uuid NOT NULL CONSTRAINT refund_lines_refund_id_fkey REFERENCES refunds (id),
    order_line_id uuid NOT NULL CONSTRAINT refund_lines_order_line_id_fkey REFERENCES order_lines (id),
    qty integer NOT NULL CONSTRAINT refund_lines_qty_positive CHECK (qty > 0),
    amount numeric NOT NULL CONSTRAINT refund_lines_amount_positive CHECK (amount > 0),
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL
);

CREATE UNIQUE INDEX refund_lines_refund_id_order_line_id ON refund_lines (refund_id, order_line_id);
CREATE INDEX refund_lines_order_line_id ON refund_lines (order_line_id);

-- Each payment ends its cart's filling, so carts have room for it where they are.
ALTER TABLE carts SET (fillfactor = 70);

ALTER TABLE checkout_sessions ADD buyer jsonb, ADD delivery_address jsonb;

ALTER TABLE audit DROP CONSTRAINT audit_action_known, ADD CONSTRAINT audit_action_known CHECK (
    action IN ('process', 'process_all', 'stop', 'look_up', 'review', 'accept', 'fail_capture', 'erase', 'take_over'));

-- When it first became paid: goes one way. Of one that was paid before there were orders, when it was changed then.
ALTER TABLE payments ADD first_paid_at timestamptz;

CREATE FUNCTION payments_first_paid_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'payment % was first paid at %', OLD.id, OLD.first_paid_at
        USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_first_paid_once';
END
$$;

CREATE TRIGGER payments_first_paid_once BEFORE UPDATE ON payments FOR EACH ROW
WHEN (OLD.first_paid_at IS NOT NULL AND NEW.first_paid_at IS DISTINCT FROM OLD.first_paid_at)
EXECUTE FUNCTION payments_first_paid_once();

-- Whether a payment was paid at some time. Of one that was so before that was noted, it is seen: it is paid, or all that was due
-- came and went again. What came in part and went again was never paid.
CREATE FUNCTION payment_was_paid(payment payments) RETURNS boolean LANGUAGE sql IMMUTABLE
RETURN payment.first_paid_at IS NOT NULL OR payment.status = 'paid' OR payment.status = 'reversed'
    AND payment.amount_captured >= coalesce(payment.amount_accepted, payment.amount);

-- A payment that payments_compute changed, and what orders follow from: whether it had and has money (it came, or is
-- authorized), whether that moved, and whether it was closed without any. And what its events follow from: whether it is
-- paid for the first time, and whether its filling of the cart has other sessions.
CREATE TYPE payment_change AS (
    payment_id uuid, version integer, status_from text, status_to text, reasons_from text, reasons_to text,
    had_money boolean, has_money boolean, money_moved boolean, closed_now boolean, first_paid boolean, has_mates boolean
);

-- Called at the end of whatever changes payments or orders, once a transaction for each of these: changes are those of the
-- payments; known the orders of ids before it, with their statuses then; closed the payments that are closed now and were
-- not. Nothing follows yet: migrations/events/fold.sql writes the events.
CREATE FUNCTION events_follow(
    changes payment_change[], ids uuid[], known uuid[], statuses order_status[], closed uuid[]
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
END
$$;

-- As before (migrations/entries/fold.sql), but of sessions without a generation too: their orders take what they bought
-- out of the cart as well.
CREATE OR REPLACE FUNCTION carts_lock_for_payments(money text[]) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM FROM carts
    WHERE id IN (
        SELECT session.cart_id FROM payments AS payment JOIN checkout_sessions AS session ON session.payment_id = payment.id
        WHERE payment.provider_ref = ANY(money)
    )
    ORDER BY id FOR NO KEY UPDATE;
END
$$;

-- Money that a payment has of which an order can be made: it came, or is authorized. What is authorized of a payment that
-- was closed counts no more.
CREATE FUNCTION payment_covers(payment payments) RETURNS boolean LANGUAGE sql IMMUTABLE
RETURN payment.amount_captured + CASE WHEN payment.closed IS NULL THEN payment.amount_authorized ELSE 0 END
    >= coalesce(payment.amount_accepted, payment.amount);

-- What orders are by their payments and lines, and what they were taken for so far. canceled_at is for good, an authorization
-- that ended is not: money after it brings the order back. Pieces that were given back are waited for no more; where that is
-- all of them, and all of the money, nothing is left of the order.
CREATE FUNCTION orders_statuses(of_orders uuid[])
RETURNS TABLE (id uuid, payment_id uuid, status_from order_status, status_to order_status) LANGUAGE sql STABLE AS $$
    SELECT made.id, made.payment_id, made.status, CASE
        WHEN made.canceled_at IS NOT NULL THEN 'canceled'
        WHEN payment.amount_captured = 0 AND payment.status <> 'authorized' AND lines.fulfilled = 0 THEN 'canceled'
        WHEN lines.fulfilled = 0 AND lines.canceled > 0 AND lines.canceled >= lines.qty
            AND payment.amount_captured <= payment.amount_lost + payment.amount_refunded THEN 'canceled'
        WHEN payment.status = 'reversed' OR EXISTS (
            SELECT FROM disputes AS dispute
            WHERE dispute.payment_id = payment.id AND dispute.stage >= 'chargeback' AND dispute.status < 'accepted'
        ) THEN 'on_hold'
        WHEN lines.fulfilled > 0 AND lines.fulfilled + lines.canceled >= lines.qty THEN 'fulfilled'
        WHEN lines.fulfilled > 0 THEN 'partially_fulfilled'
        WHEN lines.short > 0 THEN 'short'
        ELSE 'placed' END::order_status
    FROM orders AS made JOIN payments AS payment ON payment.id = made.payment_id
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(line.qty), 0) AS qty, coalesce(sum(line.qty_fulfilled), 0) AS fulfilled,
            coalesce(sum(line.qty_short), 0) AS short, coalesce(sum(line.qty_canceled), 0) AS canceled
        FROM order_lines AS line WHERE line.order_id = made.id
    ) AS lines
    WHERE made.id = ANY(of_orders)
$$;

-- What orders lack of their pieces, as holds that reserve too little yet; and what they take of the holds of other payments
-- for the same filling of the cart, which end here: those that are only held, and those of payments that have ended. Returns
-- how many pieces were freed, by the order's id and the listing's.
CREATE FUNCTION orders_hold_what_lacks(lacking uuid[], ended uuid[]) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    mates uuid[];
    freed jsonb;
BEGIN
    INSERT INTO holds AS own (payment_id, listing_id, qty, reserved, until)
    SELECT made.payment_id, item.listing_id, sum(item.qty - item.qty_fulfilled - item.qty_canceled), 0, now()
    FROM orders AS made JOIN order_lines AS item ON item.order_id = made.id
    JOIN stock_counters AS counter ON counter.listing_id = item.listing_id AND (counter.stock IS NOT NULL
        OR EXISTS (SELECT FROM holds AS hold
            WHERE hold.payment_id = made.payment_id AND hold.listing_id = item.listing_id))
    WHERE made.id = ANY(lacking)
    GROUP BY made.payment_id, item.listing_id
    HAVING sum(item.qty - item.qty_fulfilled - item.qty_canceled) > coalesce((SELECT hold.qty FROM holds AS hold
        WHERE hold.payment_id = made.payment_id AND hold.listing_id = item.listing_id), 0)
    ORDER BY made.payment_id, item.listing_id
    ON CONFLICT (payment_id, listing_id) DO UPDATE SET qty = excluded.qty, state = 'held', until = now();

    mates := ARRAY(
        SELECT hold.id FROM orders AS made JOIN holds AS own ON own.payment_id = made.payment_id AND own.qty > own.reserved
        JOIN checkout_sessions AS session ON session.cart_id = made.cart_id AND session.generation = made.generation
            AND session.payment_id <> made.payment_id
        JOIN holds AS hold ON hold.payment_id = session.payment_id AND hold.listing_id = own.listing_id
            AND (hold.state = 'held' OR hold.payment_id = ANY(ended))
        WHERE made.id = ANY(lacking));
    PERFORM FROM holds WHERE id = ANY(mates) ORDER BY payment_id, listing_id FOR UPDATE;
    WITH ended_here AS (
        DELETE FROM holds WHERE id = ANY(mates) RETURNING payment_id, listing_id, reserved
    )
    SELECT coalesce(jsonb_object_agg(each.key, each.pieces), '{}') INTO freed
    FROM (
        SELECT concat(made.id, gone.listing_id) AS key, sum(gone.reserved) AS pieces
        FROM ended_here AS gone JOIN checkout_sessions AS session ON session.payment_id = gone.payment_id
        JOIN orders AS made ON made.cart_id = session.cart_id AND made.generation = session.generation
        GROUP BY 1
    ) AS each;
    RETURN freed;
END
$$;

-- All that orders do to stock, at once: first every hold, then the counters, in the order of their keys, so that nobody who
-- has a counter waits for a hold. Holds of orders that sell are sold; what they lack is taken of other payments for the same
-- filling of the cart, then of what is there, and what nobody has is short: money is never refused. Holds of ended payments
-- go back whatever their state, of closed ones what is only held, and of orders of which fewer pieces are to be sent what is
-- over. Returns the orders of whose lines more or less is short.
CREATE FUNCTION orders_move_stock(selling uuid[], ended uuid[], closed uuid[], fewer uuid[] DEFAULT '{}')
RETURNS uuid[] LANGUAGE plpgsql AS $$
DECLARE
    owners uuid[] := ARRAY(SELECT payment_id FROM orders WHERE id = ANY(selling || fewer));
    listings uuid[];
    pieces integer[];
    lacking uuid[];
    counters uuid[];
    of_mates jsonb := '{}';
    over record;
    line record;
    there integer;
    got integer;
    touched uuid[] := '{}';
BEGIN
    PERFORM FROM holds WHERE payment_id = ANY(owners || ended || closed) ORDER BY payment_id, listing_id FOR UPDATE;
    WITH sold AS (
        UPDATE holds SET state = 'sold', until = NULL, user_id = NULL, instead_of = NULL, reserved = qty, updated_at = now()
        WHERE payment_id = ANY(owners) AND state = 'held'
        RETURNING listing_id, new.reserved - old.reserved AS more
    )
    SELECT array_agg(listing_id), array_agg(more) INTO listings, pieces FROM sold WHERE more <> 0;
    IF cardinality(fewer) > 0 THEN
        SELECT listings || array_agg(free.listing_id), pieces || array_agg(-free.freed)
        INTO listings, pieces FROM orders_shrink_holds(fewer) AS free;
    END IF;

    lacking := ARRAY(
        SELECT made.id FROM orders AS made JOIN order_lines AS item ON item.order_id = made.id
        WHERE made.id = ANY(selling)
        GROUP BY made.id, item.listing_id
        HAVING sum(item.qty - item.qty_fulfilled - item.qty_canceled) > coalesce((SELECT hold.qty FROM holds AS hold
                WHERE hold.payment_id = made.payment_id AND hold.listing_id = item.listing_id), 0)
            -- One whose counting ended since keeps what it has whole.
            AND EXISTS (SELECT FROM stock_counters AS counter
                WHERE counter.listing_id = item.listing_id AND (counter.stock IS NOT NULL
                    OR EXISTS (SELECT FROM holds AS hold
                        WHERE hold.payment_id = made.payment_id AND hold.listing_id = item.listing_id))));
    IF cardinality(lacking) > 0 THEN
        of_mates := orders_hold_what_lacks(lacking, ended);
    END IF;

    IF cardinality(ended || closed) > 0 THEN
        WITH gone AS (
            DELETE FROM holds
            WHERE payment_id = ANY(ended || closed) AND (state = 'held' OR payment_id = ANY(ended))
            RETURNING listing_id, reserved
        )
        SELECT array_agg(listing_id) AS listings, array_agg(-reserved) AS pieces INTO over FROM gone;
        listings := listings || over.listings;
        pieces := pieces || over.pieces;
        WITH mended AS (
            UPDATE order_lines AS item SET qty_short = 0, updated_at = now() FROM orders AS made
            WHERE made.payment_id = ANY(ended) AND item.order_id = made.id AND item.qty_short > 0
            RETURNING item.order_id
        )
        SELECT coalesce(array_agg(order_id), '{}') INTO touched FROM mended;
    END IF;

    counters := listings || ARRAY(SELECT listing_id FROM order_lines WHERE order_id = ANY(lacking));
    IF cardinality(counters) > 0 THEN
        PERFORM FROM stock_counters WHERE listing_id = ANY(counters) ORDER BY listing_id FOR NO KEY UPDATE;
    END IF;
    IF cardinality(listings) > 0 THEN
        PERFORM counters_add(listings, pieces);
    END IF;
    FOR line IN
        SELECT hold.id AS hold_id, made.id AS order_id, hold.listing_id, hold.qty - hold.reserved AS lacks,
            (of_mates ->> concat(made.id, hold.listing_id))::integer AS freed
        FROM orders AS made JOIN holds AS hold ON hold.payment_id = made.payment_id AND hold.qty > hold.reserved
        WHERE made.id = ANY(lacking)
        ORDER BY hold.payment_id, hold.listing_id
    LOOP
        SELECT stock - reserved INTO there FROM stock_counters WHERE listing_id = line.listing_id;
        -- Whose counting ended a moment ago, there is enough of.
        got := least(line.lacks, coalesce(line.freed, 0) + greatest(coalesce(there, line.lacks), 0));
        UPDATE stock_counters SET reserved = reserved + got - coalesce(line.freed, 0), updated_at = now()
        WHERE listing_id = line.listing_id;
        UPDATE holds SET qty = reserved + got, reserved = reserved + got, state = 'sold', until = NULL
        WHERE id = line.hold_id AND reserved + got > 0;
        IF NOT FOUND THEN
            DELETE FROM holds WHERE id = line.hold_id;
        END IF;
        WITH counted AS (
            SELECT item.id, item.qty - item.qty_fulfilled - item.qty_canceled AS open,
                sum(item.qty - item.qty_fulfilled - item.qty_canceled) OVER (ORDER BY item.place DESC, item.id) AS upto
            FROM order_lines AS item WHERE item.order_id = line.order_id AND item.listing_id = line.listing_id
        ), short AS (
            UPDATE order_lines AS item
            SET qty_short = greatest(0, least(counted.open, line.lacks - got - (counted.upto - counted.open))),
                updated_at = now()
            FROM counted WHERE item.id = counted.id AND item.qty_short
                <> greatest(0, least(counted.open, line.lacks - got - (counted.upto - counted.open)))
            RETURNING item.order_id
        )
        SELECT touched || array_agg(order_id) INTO touched FROM short;
    END LOOP;
    RETURN touched;
END
$$;

-- Brings orders that are there to the status that follows. What was canceled gives its pieces back; what comes back, since
-- money came after all, takes them again. Its caller holds the locks of the payments and of the orders.
CREATE FUNCTION orders_follow(of_orders uuid[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    ended uuid[];
    back uuid[];
BEGIN
    SELECT array_agg(payment_id) FILTER (WHERE status_to = 'canceled'),
        array_agg(id) FILTER (WHERE status_from = 'canceled')
    INTO ended, back FROM orders_statuses(of_orders) WHERE status_to <> status_from;
    IF ended IS NOT NULL OR back IS NOT NULL THEN
        PERFORM orders_move_stock(coalesce(back, '{}'), coalesce(ended, '{}'), '{}');
    END IF;
    PERFORM orders_write_statuses(of_orders);
END
$$;

CREATE FUNCTION orders_write_statuses(of_orders uuid[]) RETURNS void LANGUAGE sql AS $$
    UPDATE orders AS made SET status = following.status_to, version = made.version + 1, updated_at = now()
    FROM orders_statuses(of_orders) AS following
    WHERE made.id = following.id AND following.status_to <> following.status_from
$$;

-- How many pieces of an order's line were given back, and how many are on their way back. A request over several captures is
-- one: on its way while one of its parts is, and given back unless all of them failed.
CREATE FUNCTION order_line_refunds(line uuid) RETURNS TABLE (refunded integer, refunding integer) LANGUAGE sql STABLE AS $$
    SELECT coalesce(sum(back.qty) FILTER (WHERE NOT request.is_under_way), 0)::integer,
        coalesce(sum(back.qty) FILTER (WHERE request.is_under_way), 0)::integer
    FROM refund_lines AS back JOIN refunds AS refund ON refund.id = back.refund_id
    CROSS JOIN LATERAL (
        SELECT bool_or(part.status <= 'processing') AS is_under_way, bool_and(part.status = 'failed') AS has_failed
        FROM refunds AS part
        WHERE part.id = refund.id OR part.requested_by = refund.requested_by
            AND part.idempotency_key = refund.idempotency_key
    ) AS request
    WHERE back.order_line_id = line AND NOT request.has_failed
$$;

-- Pieces that were given back by line before they were sent are not to be sent any more; what the order lacks of them counts
-- first. Where a refund fails after it had succeeded, they are to be sent again. Returns the orders of which that changed
-- something, and those that need more pieces by now. Its caller has the locks of the payments and of the orders, and moves
-- the stock.
CREATE FUNCTION orders_cancel_pieces(of_orders uuid[], OUT changed uuid[], OUT more uuid[]) LANGUAGE plpgsql AS $$
BEGIN
    WITH due AS MATERIALIZED (
        SELECT line.id, least(back.refunded, line.qty - line.qty_fulfilled) AS canceled
        FROM order_lines AS line CROSS JOIN LATERAL order_line_refunds(line.id) AS back
        WHERE line.order_id = ANY(of_orders)
            AND EXISTS (SELECT FROM refund_lines AS given WHERE given.order_line_id = line.id)
    ), moved AS (
        UPDATE order_lines AS line SET qty_canceled = due.canceled, updated_at = now(),
            qty_short = least(line.qty_short, greatest(line.qty_short + line.qty_canceled - due.canceled, 0))
        FROM due WHERE line.id = due.id AND line.qty_canceled <> due.canceled
        RETURNING line.order_id, new.qty_canceled < old.qty_canceled AS needs_more
    )
    SELECT coalesce(array_agg(DISTINCT order_id), '{}'), coalesce(array_agg(DISTINCT order_id) FILTER (WHERE needs_more), '{}')
    INTO changed, more FROM moved;
    IF cardinality(changed) > 0 THEN
        UPDATE orders SET version = version + 1, updated_at = now() WHERE id = ANY(changed);
    END IF;
END
$$;

-- Gives up what orders hold beyond what is to be sent of them. Returns what that frees; the counters are its caller's.
CREATE FUNCTION orders_shrink_holds(of_orders uuid[]) RETURNS TABLE (listing_id uuid, freed integer) LANGUAGE sql AS $$
    WITH surplus AS MATERIALIZED (
        SELECT hold.id, hold.listing_id, hold.qty,
            hold.qty - sum(item.qty - item.qty_fulfilled - item.qty_short - item.qty_canceled)::integer AS pieces
        FROM orders AS made JOIN holds AS hold ON hold.payment_id = made.payment_id AND hold.state = 'sold'
        JOIN order_lines AS item ON item.order_id = made.id AND item.listing_id = hold.listing_id
        WHERE made.id = ANY(of_orders) GROUP BY hold.id
    ), gone AS (
        DELETE FROM holds USING surplus WHERE holds.id = surplus.id AND surplus.pieces >= surplus.qty
    ), shrunk AS (
        UPDATE holds SET qty = holds.qty - surplus.pieces, reserved = holds.reserved - surplus.pieces, updated_at = now()
        FROM surplus WHERE holds.id = surplus.id AND surplus.pieces BETWEEN 1 AND surplus.qty - 1
    )
    SELECT surplus.listing_id, surplus.pieces FROM surplus WHERE surplus.pieces > 0
$$;

-- Makes the orders of payments that were just computed, moves those that are there, and ends the holds of payments that are
-- closed. changes is what payments_compute changed of them, known are their orders, locked, and of_known the payments of
-- these. Returns payments of whose orders more or less is short by now:
-- that is a reason, so they are to be computed once more. Its caller holds the locks of the payments, and of their carts
-- where money moved. Of a payment without money it reads one index. A set names at most some hundred orders, and each table
-- has an index for them: reading one from end to end, as the planner would do while it is small, costs more with every order.
CREATE FUNCTION orders_settle(ids uuid[], changes payment_change[], known uuid[], of_known uuid[])
RETURNS uuid[] LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    first uuid := uuidv7();
    paying uuid[];
    without uuid[];
    made uuid[] := '{}';
    of_made uuid[] := '{}';
    passed uuid[] := '{}';
    ended uuid[] := '{}';
    back uuid[] := '{}';
    closed uuid[];
    touched uuid[];
    fewer uuid[] := '{}';
    more uuid[];
BEGIN
    IF known IS NOT NULL THEN
        SELECT canceled.changed, canceled.more INTO fewer, more FROM orders_cancel_pieces(known) AS canceled;
        SELECT coalesce(array_agg(payment_id) FILTER (WHERE status_to = 'canceled'), '{}'),
            coalesce(array_agg(id) FILTER (WHERE status_from = 'canceled'), '{}')
        INTO ended, back FROM orders_statuses(known) WHERE status_to <> status_from;
        back := back || ARRAY(SELECT id FROM orders_statuses(more) WHERE status_to <> 'canceled');
    END IF;
    paying := ARRAY(
        SELECT change.payment_id FROM unnest(changes) AS change WHERE change.has_money AND change.money_moved
        EXCEPT SELECT unnest(of_known));
    IF cardinality(paying) > 0 THEN
        INSERT INTO order_reasons (payment_id, reason)
        SELECT change.payment_id, 'before_orders' FROM unnest(changes) AS change
        WHERE change.had_money AND change.payment_id = ANY(paying)
        ON CONFLICT (payment_id) DO NOTHING;
        WITH new AS (
            INSERT INTO orders (id, session_id, payment_id, cart_id, generation, user_id, amount, currency, buyer,
                delivery_address, status)
            SELECT uuid_in_set(first, row_number() OVER (ORDER BY payment.id)), session.id, payment.id, session.cart_id, session.generation, session.user_id, session.amount,
                session.currency, session.buyer, session.delivery_address,
                CASE WHEN payment.status = 'reversed' OR EXISTS (
                    SELECT FROM disputes AS dispute
                    WHERE dispute.payment_id = payment.id AND dispute.stage >= 'chargeback' AND dispute.status < 'accepted'
                ) THEN 'on_hold' ELSE 'placed' END::order_status
            FROM payments AS payment JOIN checkout_sessions AS session ON session.payment_id = payment.id
            WHERE payment.id = ANY(paying) AND payment_covers(payment) AND NOT EXISTS (
                SELECT FROM order_reasons AS why WHERE why.payment_id = payment.id AND why.reason = 'before_orders')
            ORDER BY payment.id
            -- Of two payments of one filling of the cart the first gets the order. Their cart is locked.
            ON CONFLICT (cart_id, generation) DO NOTHING
            RETURNING orders.id, orders.payment_id
        )
        SELECT coalesce(array_agg(new.id), '{}'), coalesce(array_agg(new.payment_id), '{}') INTO made, of_made FROM new;
        IF cardinality(made) > 0 THEN
            DELETE FROM order_reasons WHERE payment_id = ANY(of_made);
            PERFORM orders_write_lines(made);
            PERFORM orders_use_up_carts(made, EXISTS (
                SELECT FROM unnest(changes) AS change WHERE change.status_to = 'authorized'));
        END IF;
    END IF;
    without := ARRAY(SELECT unnest(paying) EXCEPT SELECT unnest(of_made));
    -- Of an order that was canceled for good the money may go later: that is when another payment may get the filling.
    IF cardinality(ended || without) > 0
            OR EXISTS (SELECT FROM unnest(changes) AS change WHERE change.had_money AND NOT change.has_money) THEN
        passed := orders_pass_on(ids, ended);
        IF cardinality(passed) > 0 THEN
            -- The payments that had them are ended: their pieces go along.
            ended := ended || passed[cardinality(passed) / 2 + 1:];
            passed := passed[:cardinality(passed) / 2];
        END IF;
        PERFORM orders_explain(ids);
    END IF;
    -- A duplicate needs no pieces: those of the order are its own, should it get that.
    closed := ARRAY(SELECT change.payment_id FROM unnest(changes) AS change WHERE change.closed_now
        UNION SELECT why.payment_id FROM order_reasons AS why JOIN orders AS other ON other.payment_id = why.other_payment_id
        WHERE why.payment_id = ANY(without) AND why.reason = 'duplicate_of' AND other.canceled_at IS NULL);
    IF cardinality(made || passed || back || ended || closed || fewer) > 0 THEN
        touched := orders_move_stock(made || passed || back, ended, closed, fewer) || fewer;
    END IF;
    known := known || passed || touched;
    IF cardinality(known) > 0 THEN
        PERFORM orders_write_statuses(known);
    END IF;
    RETURN ARRAY(SELECT payment_id FROM orders WHERE id = ANY(touched));
END
$$;

-- The lines of orders that were just made, of their sessions. Sessions of before had no vendor's id in their lines.
CREATE FUNCTION orders_write_lines(made uuid[]) RETURNS void LANGUAGE sql AS $$
    INSERT INTO order_lines (id, order_id, place, listing_id, vendor_id, title, vendor, school, spec, qty, unit_price,
        line_total)
    SELECT uuid_in_set(one.first, row_number() OVER (ORDER BY new.id, given.place)), new.id, given.place,
        bought.listing_id, coalesce(bought.vendor_id,
            (SELECT listing.vendor_id FROM listings AS listing WHERE listing.id = bought.listing_id)),
        bought.title, bought.vendor, bought.school, bought.spec, bought.qty, bought.unit_price, bought.line_total
    FROM (SELECT uuidv7() AS first OFFSET 0) AS one CROSS JOIN orders AS new
    JOIN checkout_sessions AS session ON session.id = new.session_id
    CROSS JOIN LATERAL jsonb_array_elements(session.lines) WITH ORDINALITY AS given (line, place)
    CROSS JOIN LATERAL jsonb_to_record(given.line) AS bought (listing_id uuid, vendor_id uuid, title text, vendor text,
        school text, spec text, qty integer, unit_price numeric, line_total numeric)
    WHERE new.id = ANY(made)
    ORDER BY new.id, given.place
$$;

-- What orders bought leaves their carts, and with that the filling of the cart is over. What was added meanwhile stays. If
-- the customer has bought a later filling already, what is in the cart now is not of this one. Other payments of the same
-- filling that nobody has begun to pay are to be canceled.
CREATE FUNCTION orders_use_up_carts(made uuid[], some_authorized boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    MERGE INTO cart_items AS item
    USING (
        SELECT new.cart_id, line.listing_id, sum(line.qty) AS qty
        FROM orders AS new JOIN order_lines AS line ON line.order_id = new.id
        WHERE new.id = ANY(made) AND NOT EXISTS (SELECT FROM orders AS later
            WHERE later.cart_id = new.cart_id AND later.generation > new.generation)
        GROUP BY new.cart_id, line.listing_id
    ) AS bought
    ON item.cart_id = bought.cart_id AND item.listing_id = bought.listing_id
    WHEN MATCHED AND item.qty <= bought.qty THEN DELETE
    WHEN MATCHED THEN UPDATE SET qty = item.qty - bought.qty, updated_at = now();

    -- The first money that came has ended it already, not so what is authorized.
    IF some_authorized THEN
        UPDATE carts AS cart SET generation = cart.generation + 1, updated_at = now()
        FROM orders AS new
        WHERE new.id = ANY(made) AND cart.id = new.cart_id AND cart.generation = new.generation;
    END IF;

    INSERT INTO cancel_requests (payment_id, requested_by)
    SELECT DISTINCT other.id, other.user_id
    FROM orders AS new JOIN checkout_sessions AS session ON session.cart_id = new.cart_id
        AND session.generation = new.generation AND session.payment_id <> new.payment_id
    JOIN payments AS other ON other.id = session.payment_id
    WHERE new.id = ANY(made) AND other.status IN ('pending', 'failed') AND NOT other.under_way
    ON CONFLICT (payment_id) DO NOTHING;
END
$$;

-- Gives an order to another payment for the same filling of the cart, as its session was sealed. Its number stays. One that
-- was canceled for good keeps what it is and gives the filling up: then another order is made. Of a customer who was erased
-- since, it keeps what the law wants to be kept, which the session has no more. Returns the order. Its caller
-- holds the locks of the cart, of the payments and of the order, has made sure that nothing of it was fulfilled or given
-- back by line, and moves the stock.
CREATE FUNCTION order_pass_on(passed orders, to_payment uuid) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    heir uuid := passed.id;
BEGIN
    IF passed.canceled_at IS NOT NULL THEN
        UPDATE orders SET generation = NULL, version = version + 1, updated_at = now() WHERE id = passed.id;
        INSERT INTO orders (session_id, payment_id, cart_id, generation, user_id, amount, currency, buyer,
            delivery_address, erased_at)
        SELECT session.id, session.payment_id, session.cart_id, session.generation, session.user_id, session.amount,
            session.currency, CASE WHEN passed.erased_at IS NULL THEN session.buyer ELSE passed.buyer END,
            CASE WHEN passed.erased_at IS NULL THEN session.delivery_address ELSE passed.delivery_address END,
            passed.erased_at
        FROM checkout_sessions AS session WHERE session.payment_id = to_payment
        RETURNING id INTO heir;
    ELSE
        DELETE FROM order_lines WHERE order_id = passed.id;
        UPDATE orders
        SET payment_id = to_payment, session_id = session.id, user_id = session.user_id, amount = session.amount,
            currency = session.currency,
            buyer = CASE WHEN erased_at IS NULL THEN session.buyer ELSE orders.buyer END,
            delivery_address = CASE WHEN erased_at IS NULL THEN session.delivery_address ELSE orders.delivery_address END,
            version = version + 1, updated_at = now()
        FROM checkout_sessions AS session WHERE orders.id = passed.id AND session.payment_id = to_payment;
    END IF;
    DELETE FROM order_reasons WHERE payment_id = to_payment;
    PERFORM orders_write_lines(ARRAY[heir]);
    RETURN heir;
END
$$;

-- Orders whose payments have no money any more go to other payments for the same filling of the cart, of ids, that have
-- some. Returns these orders, and after them as many payments that had them.
CREATE FUNCTION orders_pass_on(ids uuid[], ended uuid[]) RETURNS uuid[] LANGUAGE plpgsql AS $$
DECLARE
    heir record;
    found orders;
    passed uuid[] := '{}';
    had uuid[] := '{}';
BEGIN
    FOR heir IN
        SELECT DISTINCT ON (made.id) made.id, payment.id AS payment_id
        FROM payments AS payment JOIN checkout_sessions AS session ON session.payment_id = payment.id
        JOIN orders AS made ON made.cart_id = session.cart_id AND made.generation = session.generation
            AND made.payment_id <> payment.id AND (made.status = 'canceled' OR made.payment_id = ANY(ended))
        JOIN payments AS gone ON gone.id = made.payment_id AND gone.amount_captured = 0 AND gone.status <> 'authorized'
        WHERE payment.id = ANY(ids) AND (payment.amount_captured > 0 OR payment.status = 'authorized')
            AND payment_covers(payment) AND NOT EXISTS (SELECT FROM order_reasons AS why
                WHERE why.payment_id = payment.id AND why.reason = 'before_orders')
            -- It keeps one of its own that was canceled for good, and gets no second one.
            AND NOT EXISTS (SELECT FROM orders AS own WHERE own.payment_id = payment.id)
        ORDER BY made.id, payment.id
    LOOP
        SELECT * INTO STRICT found FROM orders WHERE id = heir.id FOR NO KEY UPDATE;
        CONTINUE WHEN EXISTS (SELECT FROM order_lines AS line WHERE line.order_id = found.id AND (line.qty_fulfilled > 0
            OR EXISTS (SELECT FROM refund_lines AS back WHERE back.order_line_id = line.id)));
        passed := passed || order_pass_on(found, heir.payment_id);
        had := had || found.payment_id;
    END LOOP;
    RETURN passed || had;
END
$$;

-- Why payments with money have no order.
CREATE FUNCTION orders_explain(ids uuid[]) RETURNS void LANGUAGE sql AS $$
    INSERT INTO order_reasons AS known (payment_id, reason, other_payment_id)
    SELECT payment.id, CASE WHEN session.id IS NULL THEN 'no_session' WHEN first.id IS NOT NULL THEN 'duplicate_of'
        ELSE 'mismatch' END, first.payment_id
    FROM payments AS payment
    LEFT JOIN checkout_sessions AS session ON session.payment_id = payment.id
    LEFT JOIN orders AS first ON first.cart_id = session.cart_id AND first.generation = session.generation
    WHERE payment.id = ANY(ids) AND (payment.amount_captured > 0 OR payment.status = 'authorized')
        AND NOT EXISTS (SELECT FROM orders WHERE orders.payment_id = payment.id)
    ORDER BY payment.id
    ON CONFLICT (payment_id) DO UPDATE
    SET reason = excluded.reason, other_payment_id = excluded.other_payment_id, updated_at = now()
    WHERE known.reason <> 'before_orders'
        AND (known.reason, known.other_payment_id) IS DISTINCT FROM (excluded.reason, excluded.other_payment_id)
$$;

-- A person gives the order of a filling of a cart to this one of its payments. Takes the locks by itself: cart, payments,
-- order, stock. Whether it has the order by now, and the same in words.
CREATE FUNCTION order_take_over(taker uuid) RETURNS TABLE (done boolean, message text)
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    own checkout_sessions;
    payment payments;
    taken orders;
    passed uuid;
    mates uuid[];
    changes payment_change[];
BEGIN
    SELECT * INTO own FROM checkout_sessions AS session WHERE session.payment_id = taker;
    PERFORM FROM carts WHERE carts.id = own.cart_id FOR NO KEY UPDATE;
    mates := ARRAY(SELECT session.payment_id FROM checkout_sessions AS session
        WHERE session.cart_id = own.cart_id AND session.generation = own.generation);
    PERFORM FROM payments WHERE payments.id = taker OR payments.id = ANY(mates) ORDER BY payments.id FOR NO KEY UPDATE;
    SELECT * INTO payment FROM payments WHERE payments.id = taker;
    SELECT * INTO taken FROM orders AS made
    WHERE made.payment_id = taker OR made.cart_id = own.cart_id AND made.generation = own.generation
    ORDER BY made.payment_id = taker DESC LIMIT 1 FOR NO KEY UPDATE;
    done := taken.payment_id = taker;
    message := CASE
        WHEN payment.id IS NULL THEN 'there is no such payment'
        WHEN taken.payment_id = taker THEN 'it has the order'
        WHEN own.id IS NULL THEN 'it has no session, so nobody knows what was bought'
        WHEN EXISTS (SELECT FROM order_reasons AS why WHERE why.payment_id = taker AND why.reason = 'before_orders')
            THEN 'it was paid before there were orders'
        WHEN payment.amount_captured = 0 AND payment.status <> 'authorized' THEN 'no money came for it, and none is authorized'
        WHEN NOT payment_covers(payment) THEN 'less came than is due: accept what came, and it may get an order'
        WHEN taken.id IS NULL THEN 'no other payment for the same filling of the cart has an order'
        WHEN EXISTS (SELECT FROM order_lines AS line WHERE line.order_id = taken.id AND line.qty_fulfilled > 0)
            THEN 'something of the order was fulfilled'
        WHEN EXISTS (SELECT FROM order_lines AS line JOIN refund_lines AS back ON back.order_line_id = line.id
            WHERE line.order_id = taken.id) THEN 'something of the order was given back by line'
        END;
    IF message IS NULL THEN
        passed := order_pass_on(taken, taker);
        PERFORM orders_explain(mates);
        PERFORM orders_move_stock(ARRAY[passed], ARRAY[taken.payment_id], '{}');
        PERFORM orders_write_statuses(ARRAY[passed]);
        -- What is short of it is a reason, and was one of the other.
        changes := ARRAY(SELECT change FROM payments_compute(ARRAY[taker, taken.payment_id]) AS change);
        PERFORM events_follow(changes, ARRAY[taker, taken.payment_id], ARRAY[taken.id], ARRAY[taken.status], '{}');
        done := true;
        message := format('it has the order of payment %s', taken.payment_id);
    END IF;
    done := coalesce(done, false);
    RETURN NEXT;
END
$$;

-- At commit a payment for which money came, or is authorized, has an order or a reason.
CREATE FUNCTION payments_have_orders() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM orders WHERE payment_id = NEW.id)
            AND NOT EXISTS (SELECT FROM order_reasons WHERE payment_id = NEW.id) THEN
        RAISE EXCEPTION 'payment % has money, and neither an order nor a reason why it has none', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_have_orders';
    END IF;
    RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER payments_have_orders AFTER UPDATE ON payments DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
WHEN ((NEW.amount_captured > 0 OR NEW.status = 'authorized')
    AND NOT (OLD.amount_captured > 0 OR OLD.status = 'authorized'))
EXECUTE FUNCTION payments_have_orders();


-- Gives numbers to orders that have none, in their order, about most of them at a time, but for those that somebody is
-- changing at this moment. Whoever comes second waits for the commit of the first, and sees what that one gave. The lock is
-- no row's, so that who finds nothing to do has nothing to commit, and none of those that anybody may take who connects.
-- Returns how many got one.
CREATE FUNCTION orders_number(prefix text, most integer) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    waiting uuid[];
    numbered uuid[];
    before bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM unnumbered_orders) THEN
        RETURN 0;
    END IF;
    LOCK TABLE order_numbering IN SHARE UPDATE EXCLUSIVE MODE;
    WITH first AS MATERIALIZED (
        SELECT id, orders, sum(cardinality(orders)) OVER (ORDER BY id) - cardinality(orders) AS ahead
        FROM (SELECT id, orders FROM unnumbered_orders ORDER BY id LIMIT most) AS each
    ), taken AS (
        DELETE FROM unnumbered_orders WHERE id IN (SELECT id FROM first WHERE ahead < most) RETURNING orders
    )
    SELECT array_agg(each.id) INTO waiting FROM taken CROSS JOIN LATERAL unnest(taken.orders) AS each (id);
    IF waiting IS NULL THEN
        RETURN 0;
    END IF;
    numbered := ARRAY(
        SELECT id FROM orders WHERE id = ANY(waiting) AND number IS NULL ORDER BY id FOR NO KEY UPDATE SKIP LOCKED);
    IF cardinality(numbered) > 0 THEN
        SELECT coalesce(max(number), 0) INTO before FROM order_numbers;
        WITH given AS (
            INSERT INTO order_numbers (id, number)
            SELECT own, before + place FROM unnest(numbered) WITH ORDINALITY AS each (own, place)
            RETURNING id, number
        )
        UPDATE orders AS new SET number = given.number, number_prefix = prefix
        FROM given WHERE new.id = given.id;
    END IF;
    IF cardinality(numbered) < cardinality(waiting) THEN
        INSERT INTO unnumbered_orders (orders)
        SELECT array_agg(id) FROM orders WHERE id = ANY(waiting) AND number IS NULL HAVING count(*) > 0;
    END IF;
    RETURN cardinality(numbered);
END
$$;
