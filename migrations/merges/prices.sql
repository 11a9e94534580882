-- What a listing costs in its own currency stands in the listing alone. A second price there, which somebody wrote by hand, had
-- lists by price show the listing twice.

-- Holds the listing, whatever its currency is, so that it cannot become this one at the same moment.
CREATE OR REPLACE FUNCTION listing_prices_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    own char(3);
BEGIN
    SELECT currency INTO own FROM listings WHERE id = NEW.listing_id FOR SHARE;
    IF own = NEW.currency THEN
        RAISE EXCEPTION 'listing % has its price in % in itself', NEW.listing_id, NEW.currency
            USING ERRCODE = 'check_violation', CONSTRAINT = 'listing_prices_in_another_currency';
    END IF;
    RETURN NEW;
END
$$;

-- A listing that gets another currency keeps no price in it beside its own.
CREATE OR REPLACE FUNCTION listings_drop_price() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM listing_prices WHERE listing_id = NEW.id AND currency = NEW.currency;
    RETURN NULL;
END
$$;
