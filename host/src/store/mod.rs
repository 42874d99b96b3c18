//! Every SQL statement of the host, one file per family of tables.
//!
//! Statements are plain text that both Postgres and SQLite understand. `on_db!` repeats the
//! expression for each engine, so that the compiler checks every bind and every column type twice
//! while a person writes and reads it once.
//!
//! **Invariant:** no SQL outside this folder, no HTTP and no Redis inside it.
//! **Invariant:** the time comes in as a parameter; no statement calls `now()`.
//! **Invariant:** a function that touches a tenant's rows takes the workspace as its second
//! argument and says so in its `WHERE`. On Postgres, row-level security stands behind it: see
//! [`as_tenant`].

use sqlx::{
    Connection as _, Executor, FromRow, PgConnection, PgPool, Postgres, Sqlite, SqliteConnection,
    SqlitePool, Transaction,
    migrate::Migrator,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
    query_as, query_scalar,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    str::FromStr,
    time::Duration,
};

pub mod activations;
pub mod alert_rules;
pub mod alerts;
pub mod analyses;
pub mod answers;
pub mod api_keys;
pub mod audit_logs;
pub mod batches;
pub mod brand_facts;
pub mod brands;
pub mod budget_audit;
pub mod budget_notices;
pub mod budgets;
mod bulk;
pub mod citation_opportunities;
pub mod citations;
pub mod claims;
pub mod connections;
pub mod copilot;
pub mod costs;
pub mod credentials;
pub mod daily_counts;
pub mod deletion_requests;
pub mod derived;
pub mod diagnostics;
pub mod dispatches;
pub mod engines;
pub mod erasures;
pub mod events;
pub mod export_rows;
pub mod exports;
pub mod findings;
pub mod hints;
pub mod idempotency;
pub mod intents;
pub mod invitations;
pub mod job_admin;
pub mod jobs;
pub mod lanes;
pub mod leaders;
pub mod locales;
pub mod members;
pub mod mentions;
pub mod mute_windows;
pub mod personas;
pub mod processes;
pub mod prompt_sets;
pub mod prompt_versions;
pub mod prompts;
pub mod provider_calls;
pub mod providers;
pub mod publisher_keys;
pub mod queue_control;
pub mod queue_minutes;
pub mod raw_payloads;
pub mod reports;
pub mod revocations;
pub mod run_admin;
pub mod run_writes;
pub mod runs;
pub mod schedules;
pub mod stream_tickets;
pub mod tags;
mod tenancy;
pub mod throttles;
pub mod topics;
pub mod users;
pub mod webhook_deliveries;
pub mod webhooks;
pub mod workspaces;

pub use self::tenancy::{as_system, as_tenant};

static POSTGRES: Migrator = sqlx::migrate!("../migrations/postgres");
static SQLITE: Migrator = sqlx::migrate!("../migrations/sqlite");

/// How long a caller waits for a connection before it is told to try again.
const ACQUIRE: Duration = Duration::from_secs(3);

/// After so long without work, a connection is tried before it is used.
const RESTED: Duration = Duration::from_secs(1);

/// Runs one expression against whichever engine the connection belongs to.
///
/// The second form is for the rare statement that the engines spell differently.
macro_rules! on_db {
    ($conn:expr, |$c:ident| $run:expr) => {
        on_db!($conn, postgres: |$c| $run, sqlite: |$c| $run)
    };
    ($conn:expr, postgres: |$p:ident| $pg:expr, sqlite: |$s:ident| $lite:expr) => {
        match $conn.engine() {
            $crate::store::Engine::Postgres($p) => $pg,
            $crate::store::Engine::Sqlite($s) => $lite,
        }
    };
}
pub(crate) use on_db;

/// The database, whichever it is.
#[derive(Clone)]
pub enum Store {
    Postgres(PgPool),
    /// Many readers, and one writer that never has to wait for itself.
    Sqlite {
        readers: SqlitePool,
        writer: SqlitePool,
    },
}

/// Which migrations the database has, against those this binary carries.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct MigrationStatus {
    /// Version of the newest migration that was applied; 0 for an empty database.
    pub applied: i64,
    /// Version of the newest migration of this binary.
    pub known: i64,
    /// Of this binary, those that the database lacks.
    pub missing: Vec<i64>,
    /// Of the database, those that this binary does not know.
    pub unknown: Vec<i64>,
    /// Those that say something else here than what was applied, or did not come to their end.
    pub altered: Vec<i64>,
}

impl MigrationStatus {
    /// Holds the migrations of a database against those of this binary, one by one.
    fn of(applied: &[AppliedMigration], migrator: &Migrator) -> Self {
        let known: BTreeMap<i64, &[u8]> =
            migrator.iter().map(|known| (known.version, &*known.checksum)).collect();
        let versions: BTreeSet<i64> = applied.iter().map(|applied| applied.version).collect();
        let differs = |applied: &&AppliedMigration| {
            let known = known.get(&applied.version);
            known.is_some_and(|checksum| !applied.success || *checksum != applied.checksum)
        };
        MigrationStatus {
            applied: versions.last().copied().unwrap_or(0),
            known: known.keys().last().copied().unwrap_or(0),
            missing: known.keys().filter(|v| !versions.contains(v)).copied().collect(),
            unknown: versions.iter().filter(|v| !known.contains_key(v)).copied().collect(),
            altered: applied.iter().filter(differs).map(|applied| applied.version).collect(),
        }
    }

    pub fn is_current(&self) -> bool {
        self.missing.is_empty() && self.can_migrate()
    }

    /// Whether this binary may touch the database at all.
    pub fn can_migrate(&self) -> bool {
        self.unknown.is_empty() && self.altered.is_empty()
    }

    /// What is wrong with the schema, and what to do.
    pub fn advice(&self) -> String {
        let list = |versions: &[i64]| {
            versions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        };
        if !self.unknown.is_empty() {
            let unknown = list(&self.unknown);
            return format!(
                "the database has migrations that this binary does not know ({unknown}): run a \
                 newer one"
            );
        }
        if !self.altered.is_empty() {
            let altered = list(&self.altered);
            return format!(
                "migrations of the database are not those of this binary ({altered}): run the \
                 binary that made it, or restore a backup"
            );
        }
        format!("the database lacks migrations ({}): run `aiv migrate`", list(&self.missing))
    }
}

/// A migration as the database remembers it.
#[derive(Debug, Clone, FromRow)]
struct AppliedMigration {
    version: i64,
    checksum: Vec<u8>,
    success: bool,
}

impl Store {
    /// Connects to `postgres://…` or `sqlite:…`; the schema stays as it is.
    pub async fn connect(url: &str, max_connections: u32) -> anyhow::Result<Self> {
        if url.starts_with("postgres") {
            // Dropping a query's future does not stop its statement: the server has to.
            let options = PgConnectOptions::from_str(url)?.application_name("aiv").options([
                ("statement_timeout", "15s"),
                ("lock_timeout", "5s"),
                ("idle_in_transaction_session_timeout", "30s"),
            ]);
            let pool = PgPoolOptions::new()
                .max_connections(max_connections)
                .acquire_timeout(ACQUIRE)
                // A connection is tried when it is given back. One that is taken again at once needs
                // no second round trip.
                .test_before_acquire(false)
                .before_acquire(|conn, at| {
                    Box::pin(async move { Ok(at.idle_for < RESTED || conn.ping().await.is_ok()) })
                })
                .connect_with(options)
                .await?;
            return Ok(Store::Postgres(pool));
        }

        let options = SqliteConnectOptions::from_str(url)?
            .create_if_missing(true)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            // Some two dozen statements over many rows, each in a few sizes; see `bulk`.
            .statement_cache_capacity(400)
            .busy_timeout(Duration::from_secs(5));
        if let Some(folder) = options.get_filename().parent().filter(|f| *f != Path::new("")) {
            std::fs::create_dir_all(folder)?;
        }
        let pool = || SqlitePoolOptions::new().acquire_timeout(ACQUIRE);
        let writer = pool()
            .acquire_timeout(Duration::from_secs(30))
            .max_connections(1)
            .connect_with(options.clone())
            .await?;
        let readers =
            pool().max_connections(max_connections).connect_with(options.read_only(true)).await?;
        Ok(Store::Sqlite { readers, writer })
    }

    /// Brings the schema up to date.
    pub async fn migrate(&self) -> anyhow::Result<()> {
        match self {
            Store::Postgres(pool) => {
                POSTGRES.run(pool).await?;
                // A table that came with the last of them is not left open.
                pool.execute("SELECT secure_tenants()").await?;
            }
            Store::Sqlite { writer, .. } => SQLITE.run(writer).await?,
        }
        Ok(())
    }

    pub async fn migration_status(&self) -> anyhow::Result<MigrationStatus> {
        const APPLIED: &str =
            "SELECT version, checksum, success FROM _sqlx_migrations ORDER BY version";
        let mut conn = self.read().await?;
        // A database that was never migrated has no such table.
        let tables: i64 = on_db!(conn,
            postgres: |c| query_scalar("SELECT COUNT(*) FROM information_schema.tables
                WHERE table_schema = current_schema() AND table_name = '_sqlx_migrations'")
                .fetch_one(c).await,
            sqlite: |c| query_scalar("SELECT COUNT(*) FROM sqlite_schema
                WHERE name = '_sqlx_migrations'")
                .fetch_one(c).await)?;
        let applied: Vec<AppliedMigration> = match tables {
            0 => vec![],
            _ => on_db!(conn, |c| query_as(APPLIED).fetch_all(c).await)?,
        };
        let migrator = if matches!(self, Store::Postgres(_)) { &POSTGRES } else { &SQLITE };
        Ok(MigrationStatus::of(&applied, migrator))
    }

    /// A connection to read with. Inside [`as_tenant`] it sees one workspace.
    pub async fn read(&self) -> sqlx::Result<Conn> {
        Ok(Conn(match self {
            Store::Postgres(pool) => match tenancy::tenant() {
                Some(workspace) => {
                    let begin = tenancy::begin_confined(workspace);
                    Inner::PostgresTx(pool.begin_with(begin).await?)
                }
                None => Inner::Postgres(pool.acquire().await?),
            },
            Store::Sqlite { readers, .. } => Inner::Sqlite(readers.acquire().await?),
        }))
    }

    /// A transaction to write in; dropping it undoes it. Inside [`as_tenant`] it sees and changes
    /// one workspace.
    ///
    /// SQLite takes the write lock here rather than at the first write: a transaction that
    /// upgrades later fails at once when another writer got in between, busy timeout or not.
    pub async fn begin(&self) -> sqlx::Result<Tx> {
        Ok(Tx(Conn(match self {
            Store::Postgres(pool) => Inner::PostgresTx(match tenancy::tenant() {
                Some(workspace) => pool.begin_with(tenancy::begin_confined(workspace)).await?,
                None => pool.begin().await?,
            }),
            Store::Sqlite { writer, .. } => {
                Inner::SqliteTx(writer.begin_with("BEGIN IMMEDIATE").await?)
            }
        })))
    }

    /// Proves that the database answers.
    pub async fn ping(&self) -> sqlx::Result<()> {
        match self {
            Store::Postgres(pool) => pool.execute("SELECT 1").await.map(drop),
            Store::Sqlite { readers, .. } => readers.execute("SELECT 1").await.map(drop),
        }
    }

    /// Proves that transactions can be confined to a workspace: a server that forgot the role, or a
    /// user who may not become it, would fail each request.
    pub async fn check_tenancy(&self) -> anyhow::Result<()> {
        if let Store::Postgres(pool) = self {
            let may: bool = query_scalar(
                "SELECT COALESCE((SELECT bool_and(pg_has_role(current_user, r.oid, 'MEMBER'))
                                    AND COUNT(*) = 2
                                  FROM pg_roles r
                                  WHERE r.rolname IN ('aiv_tenant', 'aiv_system')), FALSE)",
            )
            .fetch_one(pool)
            .await?;
            anyhow::ensure!(
                may,
                "the database user cannot become aiv_tenant: let an administrator \
                 GRANT aiv_tenant, aiv_system TO it"
            );
        }
        Ok(())
    }

    /// The time of the database's clock, where it has one that is not this machine's.
    pub async fn time(&self) -> sqlx::Result<Option<chrono::DateTime<chrono::Utc>>> {
        match self {
            // The one statement that asks: leases of several machines are compared by this clock.
            Store::Postgres(pool) => {
                query_scalar("SELECT clock_timestamp()").fetch_one(pool).await.map(Some)
            }
            Store::Sqlite { .. } => Ok(None),
        }
    }

    /// Connections in use, open and idle, and allowed.
    pub fn pool_size(&self) -> PoolSize {
        let (size, idle, max) = match self {
            Store::Postgres(pool) => {
                (pool.size(), pool.num_idle(), pool.options().get_max_connections())
            }
            Store::Sqlite { readers, writer } => (
                readers.size() + writer.size(),
                readers.num_idle() + writer.num_idle(),
                readers.options().get_max_connections() + 1,
            ),
        };
        let idle = u32::try_from(idle).unwrap_or(u32::MAX);
        PoolSize { active: size.saturating_sub(idle), idle, max }
    }

    /// `postgres` or `sqlite`.
    pub fn engine_name(&self) -> &'static str {
        match self {
            Store::Postgres(_) => "postgres",
            Store::Sqlite { .. } => "sqlite",
        }
    }

    pub async fn close(&self) {
        match self {
            Store::Postgres(pool) => pool.close().await,
            Store::Sqlite { readers, writer } => {
                readers.close().await;
                writer.close().await;
            }
        }
    }
}

/// What the pool of database connections is doing.
#[derive(Debug, Clone, Copy)]
pub struct PoolSize {
    pub active: u32,
    pub idle: u32,
    pub max: u32,
}

/// What every function of this folder takes: a connection, inside a transaction or not.
pub struct Conn(Inner);

enum Inner {
    Postgres(PoolConnection<Postgres>),
    PostgresTx(Transaction<'static, Postgres>),
    Sqlite(PoolConnection<Sqlite>),
    SqliteTx(Transaction<'static, Sqlite>),
}

/// See [`on_db!`].
pub(crate) enum Engine<'a> {
    Postgres(&'a mut PgConnection),
    Sqlite(&'a mut SqliteConnection),
}

impl Conn {
    /// Several may write at once there.
    pub(crate) fn is_postgres(&self) -> bool {
        matches!(self.0, Inner::Postgres(_) | Inner::PostgresTx(_))
    }

    pub(crate) fn engine(&mut self) -> Engine<'_> {
        match &mut self.0 {
            Inner::Postgres(conn) => Engine::Postgres(conn),
            Inner::PostgresTx(tx) => Engine::Postgres(tx),
            Inner::Sqlite(conn) => Engine::Sqlite(conn),
            Inner::SqliteTx(tx) => Engine::Sqlite(tx),
        }
    }
}

/// A [`Conn`] whose changes last only once committed.
pub struct Tx(Conn);

impl Tx {
    pub async fn commit(self) -> sqlx::Result<()> {
        match self.0.0 {
            Inner::PostgresTx(tx) => tx.commit().await,
            Inner::SqliteTx(tx) => tx.commit().await,
            Inner::Postgres(_) | Inner::Sqlite(_) => {
                unreachable!("only `Store::begin` makes a `Tx`")
            }
        }
    }
}

impl std::ops::Deref for Tx {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        &self.0
    }
}

impl std::ops::DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut Conn {
        &mut self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_are_compared_one_by_one() {
        let all: Vec<_> = SQLITE
            .iter()
            .map(|known| AppliedMigration {
                version: known.version,
                checksum: known.checksum.to_vec(),
                success: true,
            })
            .collect();
        let status = |applied: &[AppliedMigration]| MigrationStatus::of(applied, &SQLITE);
        assert!(status(&all).is_current());
        let empty = status(&[]);
        assert_eq!((empty.applied, empty.missing.len()), (0, all.len()));
        assert!(empty.can_migrate() && !empty.is_current());

        // One that came later than the newest: a branch that was merged.
        let mut gap = all.clone();
        let lost = gap.remove(3);
        let gap = status(&gap);
        assert_eq!((gap.applied, &gap.missing), (gap.known, &vec![lost.version]));
        assert!(!gap.is_current() && gap.advice().contains("aiv migrate"), "{}", gap.advice());

        let mut newer = all.clone();
        newer.push(AppliedMigration { version: 9999, ..lost });
        let newer = status(&newer);
        assert!(!newer.can_migrate() && newer.advice().contains("9999"), "{}", newer.advice());

        let mut altered = all;
        altered[5].checksum[0] ^= 1;
        altered[7].success = false;
        let altered = status(&altered);
        assert_eq!(altered.altered.len(), 2);
        assert!(!altered.can_migrate() && altered.advice().contains("restore a backup"));
    }
}
