-- Listings by words, by title, by price, newest first: what each of these walks along or looks up is kept with the row, by
-- triggers, whoever writes it: the import of this release or of the one before, or a person.

ALTER TABLE listings ADD IF NOT EXISTS search tsvector, ADD IF NOT EXISTS title_key text COLLATE "C";

-- In how many listings each word stands, on sale or not; '' is in all of them. Which word of several finds the fewest is
-- seen here at once. It chooses a way, and decides nothing: a count that is wrong costs time alone.
CREATE TABLE IF NOT EXISTS listing_words (
    word text COLLATE "C" NOT NULL CONSTRAINT listing_words_pkey PRIMARY KEY,
    listings bigint NOT NULL
);

GRANT SELECT ON listing_words TO checkout_web, checkout_worker;

-- Text without accents and case: by the rules of the extension, wherever it was installed. Its own function is not marked
-- as immutable, since a person may change its rules; after that, or another major version of PostgreSQL, titles are to be
-- written anew (docs/migrations.md).
DO $$
BEGIN
    EXECUTE format($function$
        CREATE OR REPLACE FUNCTION catalogue_plain(given text) RETURNS text
        LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
        RETURN lower(%1$I.unaccent(%2$L::regdictionary, normalize(given, NFKC)) COLLATE "pg_c_utf8")
    $function$, extnamespace::regnamespace, format('%I.unaccent', extnamespace::regnamespace))
    FROM pg_extension WHERE extname = 'unaccent';
END
$$;

-- The words that somebody looks for, each once: runs of what Unicode calls alphanumeric.
CREATE OR REPLACE FUNCTION catalogue_words(given text) RETURNS text[] LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN ARRAY(
    SELECT DISTINCT left(word, 64) COLLATE "C"
    FROM regexp_split_to_table(catalogue_plain(given) COLLATE "pg_c_utf8", '[^[:alnum:]]+') AS word
    WHERE word <> '' ORDER BY 1
);

-- The words of the title have weight A, those of the names beside it B.
CREATE OR REPLACE FUNCTION listings_fill_search() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    -- Written as the text of a tsvector at once, which takes a fifth of the time that arrays of words take.
    word CONSTANT text := '[^[:alnum:]]*([[:alnum:]]{1,64})[^[:alnum:]]*';
    title text COLLATE "pg_c_utf8" := catalogue_plain(NEW.title);
    names text COLLATE "pg_c_utf8" := catalogue_plain(concat_ws(' ',
        (SELECT name FROM vendors WHERE id = NEW.vendor_id), (SELECT name FROM schools WHERE id = NEW.school_id),
        (SELECT name FROM specs WHERE id = NEW.spec_id)));
BEGIN
    NEW.search := (CASE WHEN title ~ '[[:alnum:]]' THEN regexp_replace(title, word, '''\1'':1A ', 'g') ELSE '' END
        || CASE WHEN names ~ '[[:alnum:]]' THEN regexp_replace(names, word, '''\1'':2B ', 'g') ELSE '' END)::tsvector;
    NEW.title_key := left(title, 64);
    RETURN NEW;
END
$$;

CREATE OR REPLACE TRIGGER listings_fill_search BEFORE INSERT OR UPDATE OF title, vendor_id, school_id, spec_id, search
ON listings FOR EACH ROW EXECUTE FUNCTION listings_fill_search();

-- A vendor, a school or a spec has another name: so their listings are found by that.
CREATE OR REPLACE FUNCTION listings_follow_name() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    CASE TG_TABLE_NAME
        WHEN 'vendors' THEN UPDATE listings SET vendor_id = vendor_id WHERE vendor_id = NEW.id;
        WHEN 'schools' THEN UPDATE listings SET school_id = school_id WHERE school_id = NEW.id;
        ELSE UPDATE listings SET spec_id = spec_id WHERE spec_id = NEW.id;
    END CASE;
    RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER vendors_rename_listings AFTER UPDATE OF name ON vendors
FOR EACH ROW WHEN (OLD.name <> NEW.name) EXECUTE FUNCTION listings_follow_name();
CREATE OR REPLACE TRIGGER schools_rename_listings AFTER UPDATE OF name ON schools
FOR EACH ROW WHEN (OLD.name <> NEW.name) EXECUTE FUNCTION listings_follow_name();
CREATE OR REPLACE TRIGGER specs_rename_listings AFTER UPDATE OF name ON specs
FOR EACH ROW WHEN (OLD.name <> NEW.name) EXECUTE FUNCTION listings_follow_name();

-- Words in their order, so that two writers follow each other. What leaves the stock alone writes none.
CREATE OR REPLACE FUNCTION listings_count_words() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO listing_words AS known (word, listings)
        SELECT word, count(*) FROM fresh, unnest(array_append(tsvector_to_array(search), '')) AS word GROUP BY word ORDER BY word
        ON CONFLICT (word) DO UPDATE SET listings = known.listings + excluded.listings;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO listing_words AS known (word, listings)
        SELECT word, -count(*) FROM gone, unnest(array_append(tsvector_to_array(search), '')) AS word GROUP BY word ORDER BY word
        ON CONFLICT (word) DO UPDATE SET listings = known.listings + excluded.listings;
    ELSE
        -- Without the search of before, the row was counted with none: that of '' comes with the search.
        INSERT INTO listing_words AS known (word, listings)
        SELECT word, sum(change) FROM (
            SELECT unnest(array_append(tsvector_to_array(fresh.search), '')), 1 FROM fresh JOIN gone USING (id)
            WHERE fresh.search IS DISTINCT FROM gone.search
            UNION ALL
            SELECT unnest(array_append(tsvector_to_array(gone.search), '')), -1 FROM fresh JOIN gone USING (id)
            WHERE fresh.search IS DISTINCT FROM gone.search AND gone.search IS NOT NULL
        ) AS changed (word, change) GROUP BY word HAVING sum(change) <> 0 ORDER BY word
        ON CONFLICT (word) DO UPDATE SET listings = known.listings + excluded.listings;
    END IF;
    RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER listings_count_words_of_new AFTER INSERT ON listings REFERENCING NEW TABLE AS fresh
FOR EACH STATEMENT EXECUTE FUNCTION listings_count_words();
CREATE OR REPLACE TRIGGER listings_count_words_of_gone AFTER DELETE ON listings REFERENCING OLD TABLE AS gone
FOR EACH STATEMENT EXECUTE FUNCTION listings_count_words();
CREATE OR REPLACE TRIGGER listings_count_words AFTER UPDATE ON listings
REFERENCING OLD TABLE AS gone NEW TABLE AS fresh
FOR EACH STATEMENT EXECUTE FUNCTION listings_count_words();

-- The first known words that begin so, in their order. By the index alone, which stops where there are enough of them:
-- PostgreSQL takes such a beginning for rare, and would read all words that have it, and sort them.
CREATE OR REPLACE FUNCTION listing_words_alike(beginning text, most integer)
RETURNS TABLE (word text, listings bigint) LANGUAGE sql STABLE
SET enable_bitmapscan = off SET enable_seqscan = off
AS $$
    SELECT known.word, known.listings FROM listing_words AS known
    WHERE known.word >= beginning AND known.word < beginning || U&'\+10FFFF' AND known.listings > 0
    ORDER BY known.word LIMIT most
$$;

DO $$
DECLARE
    owned text;
BEGIN
    FOREACH owned IN ARRAY ARRAY['listings_fill_search()', 'listings_follow_name()', 'listings_count_words()'] LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', owned, current_schema());
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', owned);
    END LOOP;
END
$$;
