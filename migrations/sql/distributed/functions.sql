-- Every function of ours is on every node: shards call some, and the service may be connected to any node.
DO $$
DECLARE
    function regprocedure;
BEGIN
    FOR function IN
        SELECT oid FROM pg_proc AS p
        WHERE pronamespace IN ('sms'::regnamespace, 'sms_data'::regnamespace) AND prorettype <> 'trigger'::regtype
              AND NOT EXISTS (SELECT FROM pg_catalog.pg_dist_object
                              WHERE classid = 'pg_proc'::regclass AND objid = p.oid)
    LOOP
        PERFORM create_distributed_function(function);
    END LOOP;
END
$$;
