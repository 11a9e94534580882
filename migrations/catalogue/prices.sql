-- What a listing costs in other currencies than its own: each price is set by the shop, and none is computed of another.

CREATE TABLE IF NOT EXISTS listing_prices (
    id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT listing_prices_pkey PRIMARY KEY,
    listing_id uuid NOT NULL CONSTRAINT listing_prices_listing_id_fkey REFERENCES listings (id) ON DELETE CASCADE,
    currency char(3) NOT NULL,
    unit_price numeric NOT NULL CONSTRAINT listing_prices_unit_price_positive CHECK (unit_price > 0)
        CONSTRAINT listing_prices_unit_price_of_currency
            CHECK (unit_price = round(unit_price, currency_decimals(currency))),
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL
);

CREATE UNIQUE INDEX IF NOT EXISTS listing_prices_listing_id_currency ON listing_prices (listing_id, currency);
CREATE INDEX IF NOT EXISTS listing_prices_currency_unit_price ON listing_prices (currency, unit_price, listing_id);

GRANT SELECT ON listing_prices TO checkout_web, checkout_worker;
