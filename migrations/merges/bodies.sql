-- As before (migrations/events/bodies.sql), but mates in another cart are duplicates too.
CREATE OR REPLACE FUNCTION payments_and_orders(ids uuid[], shown boolean[], mated boolean[], known uuid[], statuses order_status[])
RETURNS TABLE (
    place bigint, id uuid, version integer, body text, order_id uuid, order_version integer, order_status order_status,
    order_body text
) LANGUAGE sql STABLE AS $$
    SELECT given.place, payment.id, payment.version,
        CASE WHEN given.shown THEN concat(
                '{"id":"', payment.id,
                '","status":"', payment.status,
                '","amount":"', every,
                '","currency":"', payment.currency,
                '","amount_captured":"', CASE payment.amount_captured WHEN payment.amount THEN every WHEN 0 THEN nothing
                    ELSE event_amount(payment.amount_captured, places) END,
                '","amount_lost":"', CASE payment.amount_lost WHEN 0 THEN nothing
                    ELSE event_amount(payment.amount_lost, places) END,
                '","amount_refundable":"', CASE refundable WHEN payment.amount THEN every WHEN 0 THEN nothing
                    ELSE event_amount(refundable, places) END,
                '","amount_authorized":"', CASE payment.amount_authorized WHEN 0 THEN nothing
                    ELSE event_amount(payment.amount_authorized, places) END,
                CASE WHEN payment.amount_accepted IS NULL THEN '","amount_accepted":null'
                    ELSE concat('","amount_accepted":"', event_amount(payment.amount_accepted, places), '"') END,
                ',"amount_refunded":"', CASE payment.amount_refunded WHEN 0 THEN nothing
                    ELSE event_amount(payment.amount_refunded, places) END,
                '","amount_refunding":"', CASE payment.amount_refunding WHEN 0 THEN nothing
                    ELSE event_amount(payment.amount_refunding, places) END,
                CASE WHEN payment.under_way THEN '","under_way":true' ELSE '","under_way":false' END,
                CASE WHEN payment.amount_authorized > 0 THEN (
                    SELECT concat(',"authorization_expires_at":', coalesce(to_json(event_time(min(attempt.expires_at)))::text, 'null'))
                    FROM payment_attempts AS attempt
                    WHERE attempt.payment_id = payment.id AND attempt.status = 'authorized' AND NOT attempt.rest_released
                        AND NOT EXISTS (SELECT FROM payment_attempts AS newer
                            WHERE newer.payment_id = payment.id AND newer.replaces = attempt.attempt_ref)
                ) ELSE ',"authorization_expires_at":null' END,
                CASE WHEN payment.amount_captured > 0 AND given.mated THEN (
                    SELECT concat(',"duplicate_of":', to_json(ARRAY(SELECT mate.id
                        FROM (
                            SELECT session.payment_id
                            FROM checkout_sessions AS own
                            JOIN checkout_sessions AS session ON session.cart_id = own.cart_id
                                AND session.generation = own.generation AND session.payment_id <> own.payment_id
                            WHERE own.payment_id = payment.id
                            UNION ALL
                            SELECT pair.mate_id FROM payment_mates AS pair WHERE pair.payment_id = payment.id
                        ) AS other
                        JOIN payments AS mate ON mate.id = other.payment_id
                        WHERE mate.amount_captured > 0
                        ORDER BY mate.id)))
                ) ELSE ',"duplicate_of":[]' END,
                CASE WHEN made.id IS NULL THEN ',"order":null'
                    WHEN made.number IS NULL THEN concat(',"order":{"id":"', made.id, '","number":null}')
                    ELSE concat(',"order":{"id":"', made.id, '","number":', to_json(made.number_prefix || made.number), '}') END,
                ',"provider":', to_json(payment.provider),
                CASE WHEN payment.review_reason IS NULL THEN ',"under_review":false,"review_reasons":[]'
                    ELSE concat(',"under_review":true,"review_reasons":', to_json(ARRAY(
                        SELECT reason FROM unnest(string_to_array(payment.review_reason, ', ')) AS each (reason)
                        ORDER BY reason COLLATE "C"))) END,
                ',"version":', payment.version,
                ',"created_at":"', event_time(payment.created_at),
                '","updated_at":"', CASE payment.updated_at WHEN now() THEN this_time ELSE event_time(payment.updated_at) END,
                '","customer":"', payment.user_id,
                '","reference":', to_json(payment.provider_ref), '}') END,
        made.id, made.version, CASE WHEN changed THEN made.status END,
        CASE WHEN changed THEN concat(
                '{"id":"', made.id,
                CASE WHEN made.number IS NULL THEN '","number":null'
                    ELSE concat('","number":', to_json(made.number_prefix || made.number)) END,
                ',"status":"', made.status,
                '","payment_id":"', made.payment_id,
                '","amount":"', event_amount(made.amount, places),
                '","currency":"', made.currency,
                '","amount_refunded":"', CASE payment.amount_refunded WHEN 0 THEN nothing
                    ELSE event_amount(payment.amount_refunded, places) END,
                '","amount_refunding":"', CASE payment.amount_refunding WHEN 0 THEN nothing
                    ELSE event_amount(payment.amount_refunding, places) END,
                '","lines":[', of_order.lines, '],"parts":[', CASE
                    WHEN of_order.first_vendor = of_order.last_vendor
                        THEN concat('{"vendor":', of_order.first_vendor, ',"amount":"', event_amount(of_order.amount, places), '"}')
                    ELSE (SELECT string_agg(concat('{"vendor":', vendor, ',"amount":"', event_amount(amount, places), '"}'), ','
                            ORDER BY place)
                        FROM (
                            SELECT json_build_object('id', line.vendor_id, 'name', line.vendor) AS vendor,
                                sum(line.line_total) AS amount, min(line.place) AS place
                            FROM order_lines AS line WHERE line.order_id = made.id GROUP BY line.vendor_id, line.vendor
                        ) AS part) END,
                '],"buyer":', coalesce(CASE WHEN made.erased_at IS NULL THEN made.buyer::text END, 'null'),
                ',"delivery_address":', coalesce(CASE WHEN made.erased_at IS NULL THEN made.delivery_address::text END, 'null'),
                ',"version":', made.version,
                ',"created_at":"', CASE made.created_at WHEN now() THEN this_time ELSE event_time(made.created_at) END,
                '","updated_at":"', CASE made.updated_at WHEN now() THEN this_time ELSE event_time(made.updated_at) END,
                '","customer":"', made.user_id,
                CASE WHEN made.status <> 'on_hold' THEN '","on_hold_reason":null'
                    WHEN payment.status = 'reversed' THEN '","on_hold_reason":"payment_reversed"'
                    ELSE '","on_hold_reason":"chargeback"' END,
                CASE WHEN made.canceled_at IS NULL THEN ',"canceled_at":null}'
                    ELSE concat(',"canceled_at":"', event_time(made.canceled_at), '"}') END) END
    FROM unnest(ids, shown, mated) WITH ORDINALITY AS given (id, shown, mated, place)
    JOIN payments AS payment ON payment.id = given.id
    LEFT JOIN orders AS made ON made.payment_id = payment.id
    CROSS JOIN LATERAL (
        SELECT event_places(payment.currency), (SELECT event_time(now())),
            coalesce(made.status IS DISTINCT FROM statuses[array_position(known, made.id)] AND made.id IS NOT NULL, false)
        OFFSET 0
    ) AS shown_with (places, this_time, changed)
    CROSS JOIN LATERAL (
        SELECT event_amount(payment.amount, places), event_amount(0, places),
            greatest(payment.amount_captured - payment.amount_lost - payment.amount_blocked - payment.amount_refunded
                - payment.amount_refunding, 0)
        OFFSET 0
    ) AS amounts (every, nothing, refundable)
    CROSS JOIN LATERAL (
        SELECT string_agg(concat(
                '{"id":"', line.id,
                '","listing_id":"', line.listing_id,
                '","title":', to_json(line.title),
                ',"vendor":', line.of_vendor,
                CASE WHEN line.school IS NULL THEN ',"school":null' ELSE concat(',"school":', to_json(line.school)) END,
                CASE WHEN line.spec IS NULL THEN ',"spec":null' ELSE concat(',"spec":', to_json(line.spec)) END,
                ',"qty":', line.qty,
                ',"unit_price":"', event_amount(line.unit_price, places),
                '","line_total":"', event_amount(line.line_total, places),
                '","qty_fulfilled":', line.qty_fulfilled,
                CASE WHEN payment.amount_refunded + payment.amount_refunding = 0 THEN ',"qty_refunded":0,"qty_refunding":0'
                    ELSE (SELECT concat(',"qty_refunded":', back.refunded, ',"qty_refunding":', back.refunding)
                        FROM order_line_refunds(line.id) AS back) END,
                ',"qty_canceled":', line.qty_canceled,
                ',"qty_short":', line.qty_short, '}'), ',') AS lines,
            min(line.of_vendor COLLATE "C") AS first_vendor, max(line.of_vendor COLLATE "C") AS last_vendor, sum(line.line_total) AS amount
        FROM (
            SELECT each.*, concat(CASE WHEN each.vendor_id IS NULL THEN '{"id":null' ELSE concat('{"id":"', each.vendor_id, '"') END,
                CASE WHEN each.vendor IS NULL THEN ',"name":null}' ELSE concat(',"name":', to_json(each.vendor), '}') END)
                AS of_vendor
            FROM order_lines AS each
            WHERE each.order_id = made.id AND changed ORDER BY each.place
        ) AS line
    ) AS of_order
$$;
