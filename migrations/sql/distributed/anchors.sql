-- Counts name no message. They are spread over the shards by anchors: at most eight texts, each the key of another shard,
-- one of which each call of a writing function picks. With more of them the counts would have more rows to be added up.

DO $$
DECLARE
    shards CONSTANT bigint[] := ARRAY(SELECT shardid FROM pg_dist_shard
                                      WHERE logicalrelid = 'sms_data.message'::regclass ORDER BY shardminvalue::integer);
    wanted integer := least(8, cardinality(shards));
    step   integer := cardinality(shards) / wanted;
    anchor text;
    found  text[];
BEGIN
    IF to_regprocedure('sms_data.anchors()') IS NOT NULL THEN
        RETURN;  -- rows with these anchors exist
    END IF;
    FOR i IN 0 .. wanted - 1 LOOP
        -- Nodes take turns with the shards: neither every second nor every fourth may be left out.
        SELECT n::text COLLATE "C" INTO STRICT anchor
        FROM generate_series(0, 100000) AS n
        WHERE get_shard_id_for_distribution_column('sms_data.message', n::text) = shards[1 + i * step + i % step]
        LIMIT 1;
        found := found || anchor;
    END LOOP;
    EXECUTE format('CREATE FUNCTION sms_data.anchors() RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS %L',
                   format('SELECT %L::text[]', found));
END
$$;

CREATE OR REPLACE FUNCTION sms_data.some_anchor() RETURNS text
    LANGUAGE sql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$ SELECT (sms_data.anchors())[1 + floor(random() * cardinality(sms_data.anchors()))::integer] $$;
