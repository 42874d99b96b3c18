-- Row-level security: whoever works for one workspace sees and changes nothing of another, whatever
-- the statement forgets to say.
--
-- `aiv_tenant` is what a transaction becomes that works for a workspace; it names the workspace in
-- `app.workspace_id`. `aiv_system` is what workers, sweeps and operators are. Neither can log in; the
-- user of DATABASE_URL is a member of both.
DO $$
DECLARE
    role_name TEXT;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['aiv_tenant', 'aiv_system'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN NOSUPERUSER NOBYPASSRLS', role_name);
            EXCEPTION
                -- Roles belong to the server: another database of it was first.
                WHEN duplicate_object OR unique_violation THEN NULL;
                WHEN insufficient_privilege THEN
                    RAISE EXCEPTION 'role % is missing and cannot be made by %: let an administrator '
                        'CREATE ROLE aiv_tenant NOLOGIN; CREATE ROLE aiv_system NOLOGIN; '
                        'GRANT aiv_tenant, aiv_system TO %', role_name, current_user, current_user;
            END;
        END IF;
        IF NOT pg_has_role(current_user, role_name, 'MEMBER') THEN
            EXECUTE format('GRANT %I TO CURRENT_USER', role_name);
        END IF;
    END LOOP;
END $$;

-- Guards every table that holds rows of workspaces and is not guarded yet, and lets tenants read the
-- others. It is called after each migration, so that no new table is left out.
CREATE FUNCTION secure_tenants() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    found_table RECORD;
    condition TEXT;
    -- NULL, and so nobody's row, where no workspace is named.
    here CONSTANT TEXT := 'NULLIF(current_setting(''app.workspace_id'', true), '''')::uuid';
BEGIN
    FOR found_table IN
        SELECT c.oid, c.relname AS name,
               EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid
                       AND a.attname = 'workspace_id' AND NOT a.attisdropped) AS owned
        FROM pg_class c
        WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
          AND NOT has_table_privilege('aiv_system', c.oid, 'SELECT')
    LOOP
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO aiv_system',
            found_table.name);
        condition := CASE
            -- What the platform may spend is checked whenever a workspace spends.
            WHEN found_table.name = 'budget_days' THEN
                format('workspace_id = %s OR scope = ''platform''', here)
            WHEN found_table.owned THEN format('workspace_id = %s', here)
            WHEN found_table.name = 'workspaces' THEN format('id = %s', here)
            WHEN found_table.name = 'users' THEN
                'EXISTS (SELECT FROM members WHERE members.user_id = users.id)'
            WHEN found_table.name = 'job_errors' THEN
                'EXISTS (SELECT FROM jobs WHERE jobs.id = job_errors.job_id)'
        END;
        IF condition IS NOT NULL THEN
            EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO aiv_tenant',
                found_table.name);
            EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', found_table.name);
            EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', found_table.name);
            EXECUTE format('CREATE POLICY tenant ON %I TO aiv_tenant USING (%s) WITH CHECK (%s)',
                found_table.name, condition, condition);
            EXECUTE format('CREATE POLICY system ON %I TO aiv_system USING (true) WITH CHECK (true)',
                found_table.name);
        ELSIF found_table.name <> 'revocations' THEN
            -- Of nobody in particular: catalogues, dictionaries and the platform's settings.
            EXECUTE format('GRANT SELECT ON %I TO aiv_tenant', found_table.name);
        END IF;
    END LOOP;
END $$;

SELECT secure_tenants();
