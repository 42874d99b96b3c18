//! What stands behind the `WHERE`s on Postgres: row-level security.

use crate::{
    support::Host,
    tenants::{example, filled, objects},
};
use aiv::{
    ids::WorkspaceId,
    store::{
        Store, as_tenant, audit_logs,
        prompts::{self, NewPrompt},
        workspaces,
    },
};
use futures_util::future::join_all;
use poem::http::Method;
use serde_json::json;
use sqlx::{AssertSqlSafe, PgPool, Row};
use std::collections::BTreeMap;

/// The pool of a host on Postgres, with a word about it when this is another engine.
fn postgres(host: &Host) -> Option<PgPool> {
    match &host.app.store {
        Store::Postgres(pool) => Some(pool.clone()),
        Store::Sqlite { .. } => {
            eprintln!("skipped: SQLite has no row-level security");
            None
        }
    }
}

/// Two workspaces with rows in many tables.
async fn two() -> (Host, Host) {
    let host = Host::start().await;
    let other = host.other_workspace().await;
    for host in [&host, &other] {
        host.seed_demo(1).await;
        host.post("/v1/prompts", json!({"text": "best crm?"})).await.expect(201);
        host.post("/v1/schedules", json!({"name": "s", "cron": "@daily"})).await.expect(201);
        let invitation = json!({"email": "ada@acme.com", "role": "viewer"});
        host.post("/v1/invitations", invitation).await.expect(201);
        host.post("/v1/batches", json!({"engines": ["perplexity"]})).await.expect(202);
    }
    host.work().await;
    (host, other)
}

/// Every table with rows of workspaces, and the column that says whose they are.
async fn tables(pool: &PgPool) -> Vec<(String, String)> {
    let rows = sqlx::query(
        "SELECT table_name::text, column_name::text FROM information_schema.columns
         WHERE table_schema = current_schema()
           AND (column_name = 'workspace_id' OR (table_name = 'workspaces' AND column_name = 'id'))
         ORDER BY 1",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

#[tokio::test]
async fn every_table_of_workspaces_is_guarded() {
    let host = Host::start().await;
    let Some(pool) = postgres(&host) else { return };
    let tables = tables(&pool).await;
    assert!(tables.len() >= 25, "{tables:?}");
    for (table, _) in tables {
        let row = sqlx::query(
            "SELECT c.relrowsecurity, c.relforcerowsecurity,
                    EXISTS (SELECT FROM pg_policies p WHERE p.tablename = c.relname
                            AND p.policyname = 'tenant' AND p.roles = '{aiv_tenant}'
                            AND p.qual IS NOT NULL AND p.with_check IS NOT NULL)
             FROM pg_class c WHERE c.relname = $1
               AND c.relnamespace = current_schema()::regnamespace",
        )
        .bind(&table)
        .fetch_one(&pool)
        .await
        .unwrap();
        let all: [bool; 3] = [row.get(0), row.get(1), row.get(2)];
        assert_eq!(all, [true; 3], "{table}: enabled, forced, policy");
    }
    let role = sqlx::query(
        "SELECT rolsuper, rolbypassrls, rolcanlogin, rolcreaterole,
                pg_has_role('aiv_tenant', 'aiv_system', 'MEMBER')
         FROM pg_roles WHERE rolname = 'aiv_tenant'",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    let powers: [bool; 5] = [0, 1, 2, 3, 4].map(|index| role.get(index));
    assert_eq!(powers, [false; 5]);
    let views: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM pg_class WHERE relkind IN ('v', 'm')
           AND relnamespace = current_schema()::regnamespace",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!(views, 0, "a view reads with its owner's rights unless it says otherwise");
}

#[tokio::test]
async fn a_statement_without_a_where_stays_in_its_workspace() {
    let (host, other) = two().await;
    let Some(pool) = postgres(&host) else { return };
    let (ours, theirs) = (host.workspace.id, other.workspace.id);
    let mut seen = 0;
    for (table, column) in tables(&pool).await {
        let count = async |workspace: WorkspaceId| {
            let mut tx = pool.begin_with(confine(workspace)).await.unwrap();
            let all =
                format!("SELECT COUNT(*), COUNT(*) FILTER (WHERE {column} = $1) FROM {table}");
            let row = sqlx::query(AssertSqlSafe(all))
                .bind(workspace.0)
                .fetch_one(&mut *tx)
                .await
                .unwrap();
            (row.get::<i64, _>(0), row.get::<i64, _>(1))
        };
        let (all, own) = count(ours).await;
        if table != "budget_days" {
            assert_eq!(all, own, "{table} shows rows of others");
        }
        seen += i64::from(own > 0);
        // Nor can anything be changed or removed by forgetting to say where.
        if table == "audit_logs" {
            continue;
        }
        let before = count(theirs).await.1;
        let mut tx = pool.begin_with(confine(ours)).await.unwrap();
        let all = sqlx::query(AssertSqlSafe(format!("UPDATE {table} SET {column} = {column}")));
        let updated = all.execute(&mut *tx).await.unwrap().rows_affected();
        assert!(i64::try_from(updated).unwrap() <= all_of(own, &table), "{table}");
        let moved = format!("UPDATE {table} SET {column} = $1");
        let moved = sqlx::query(AssertSqlSafe(moved)).bind(theirs.0).execute(&mut *tx).await;
        assert!(own == 0 || moved.is_err(), "{table}: rows were given to another workspace");
        drop(tx);
        let mut tx = pool.begin_with(confine(ours)).await.unwrap();
        let none = AssertSqlSafe(format!("DELETE FROM {table}"));
        // Rows that others refer to stay, which is an error of its own.
        if let Ok(deleted) = sqlx::query(none).execute(&mut *tx).await {
            let deleted = i64::try_from(deleted.rows_affected()).unwrap();
            assert!(deleted <= own, "{table}: {deleted} rows are gone, of {own}");
        }
        drop(tx);
        assert_eq!(count(theirs).await.1, before, "{table}");
    }
    assert!(seen >= 12, "only {seen} tables had rows to show");
}

/// The platform's row of a budget belongs to all.
fn all_of(own: i64, table: &str) -> i64 {
    if table == "budget_days" { own + 1 } else { own }
}

fn confine(workspace: WorkspaceId) -> AssertSqlSafe<String> {
    AssertSqlSafe(format!(
        "BEGIN; SET LOCAL ROLE aiv_tenant; SET LOCAL app.workspace_id = '{workspace}'"
    ))
}

#[tokio::test]
async fn the_stores_own_statements_are_confined() {
    let (host, other) = two().await;
    if postgres(&host).is_none() {
        return;
    }
    let store = &host.app.store;
    let (ours, theirs) = (host.workspace.id, other.workspace.id);
    as_tenant(ours, async {
        // Statements of operators, which name no workspace.
        let mut conn = store.read().await.unwrap();
        let all = workspaces::list(&mut conn, None, 100).await.unwrap();
        assert_eq!(all.iter().map(|row| row.id).collect::<Vec<_>>(), [ours]);
        let filter = audit_logs::AuditFilter::default();
        let log = audit_logs::list_all(&mut conn, &filter, None, 100).await.unwrap();
        assert!(!log.is_empty() && log.iter().all(|row| row.workspace_id == Some(ours)));
        // And one that names the wrong one.
        assert!(workspaces::find(&mut conn, theirs).await.is_err());
        drop(conn);
        let mut tx = store.begin().await.unwrap();
        let new = NewPrompt {
            text: "whose prompt?".into(),
            intent: None,
            language: None,
            country: None,
            location: None,
            topic: None,
            persona: None,
            tags: vec![],
            active: true,
        };
        assert!(prompts::insert(&mut tx, theirs, new, host.app.clock.now()).await.is_err());
    })
    .await;
    // No connection of the pool kept the role.
    for _ in 0..20 {
        let mut conn = store.read().await.unwrap();
        assert_eq!(workspaces::list(&mut conn, None, 100).await.unwrap().len(), 2);
    }
}

#[tokio::test]
async fn without_a_workspace_a_tenant_sees_nothing() {
    let (host, _) = two().await;
    let Some(pool) = postgres(&host) else { return };
    for begin in [
        "BEGIN; SET LOCAL ROLE aiv_tenant",
        "BEGIN; SET LOCAL ROLE aiv_tenant; SET LOCAL app.workspace_id = ''",
    ] {
        let mut tx = pool.begin_with(begin).await.unwrap();
        for (table, _) in tables(&pool).await {
            let all = AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
            let count: i64 = sqlx::query_scalar(all).fetch_one(&mut *tx).await.unwrap();
            assert!(count == 0 || table == "budget_days", "{table}: {count}");
        }
    }
}

/// Whatever belongs to `workspace`, each table in one text.
async fn belongings(pool: &PgPool, workspace: WorkspaceId) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for (table, column) in tables(pool).await {
        let rows = AssertSqlSafe(format!(
            "SELECT COALESCE(string_agg(t::text, E'\n' ORDER BY t::text), '')
             FROM {table} t WHERE {column} = $1"
        ));
        let rows = sqlx::query_scalar(rows).bind(workspace.0).fetch_one(pool).await.unwrap();
        all.insert(table, rows);
    }
    all
}

/// Confines all tenants to `workspace`, whichever they name.
async fn mislead(pool: &PgPool, workspace: WorkspaceId) {
    let policies = "SELECT tablename::text, qual, with_check FROM pg_policies
                    WHERE policyname = 'tenant' AND schemaname = current_schema()";
    let named = "(NULLIF(current_setting('app.workspace_id'::text, true), ''::text))::uuid";
    let mut misled = 0;
    for policy in sqlx::query(policies).fetch_all(pool).await.unwrap() {
        let [table, using, check]: [String; 3] = [0, 1, 2].map(|index| policy.get(index));
        misled += usize::from(using.contains(named));
        let [using, check] =
            [using, check].map(|text| text.replace(named, &format!("'{workspace}'::uuid")));
        let policy = format!("ALTER POLICY tenant ON {table} USING ({using}) WITH CHECK ({check})");
        sqlx::query(AssertSqlSafe(policy)).execute(pool).await.unwrap();
    }
    assert!(misled >= 25, "only {misled} policies name the workspace");
}

/// Every statement that works for a workspace is made to name one that it is not confined to: its
/// `WHERE` keeps nobody out then, and all that is left to do so is row-level security.
#[tokio::test]
async fn every_operation_is_confined_whatever_its_statements_say() {
    let host = Host::start().await;
    let Some(pool) = postgres(&host) else { return };
    let objects = objects(&host).await;
    let elsewhere = host.other_workspace().await.workspace.id;
    mislead(&pool, elsewhere).await;
    let kept = || join_all([host.workspace.id, elsewhere].map(|id| belongings(&pool, id)));
    let before = kept().await;
    let document = aiv::api::openapi();
    let mut tried = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        if path.starts_with("/v1/admin/") {
            continue;
        }
        let path = filled(path, &objects);
        for (method, operation) in methods.as_object().unwrap() {
            // A stream goes on; and a workspace on its way out is the platform's business.
            if ["stream_events", "create_deletion_request"]
                .contains(&operation["operationId"].as_str().unwrap())
            {
                continue;
            }
            let body = example(&document, operation);
            let asked = format!("{} {path} {body}", host.workspace.id);
            let method: Method = method.to_uppercase().parse().unwrap();
            let answer = host.send(method.clone(), &path, Some(body)).await;
            let told = answer.body.to_string();
            let shown = objects.values().find(|object| {
                uuid::Uuid::parse_str(object).is_ok()
                    && told.contains(*object)
                    && !asked.contains(*object)
            });
            assert_eq!(shown, None, "{method} {path}: {told}");
            // Of catalogues, templates and calendars, which are nobody's.
            let anyones = ["/v1/providers", "/v1/prompts/suggest", "/v1/schedules/preview"];
            let empty = answer.body["data"].as_array().is_none_or(Vec::is_empty);
            assert!(empty || anyones.contains(&&*path), "{method} {path}: {told}");
            tried += 1;
        }
    }
    assert!(tried >= 130, "only {tried} operations were tried");
    assert_eq!(kept().await, before);
}
