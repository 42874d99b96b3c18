//! Hints between processes that share a database: "there is work", "other components are in
//! service". They may get lost.

use super::{Conn, Store, on_db};
use crate::Result;
use sqlx::{postgres::PgListener, query};

const WORK: &str = "aiv_work";
const PROVIDERS: &str = "aiv_providers";

/// What others hinted at since the last look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Heard {
    pub work: bool,
    pub providers: bool,
}

/// Tells other processes, once the caller's transaction is committed, that there is work.
pub async fn work(conn: &mut Conn) -> Result<()> {
    notify(conn, WORK).await
}

/// Tells other processes, once the caller's transaction is committed, that the registry changed.
pub async fn providers(conn: &mut Conn) -> Result<()> {
    notify(conn, PROVIDERS).await
}

async fn notify(conn: &mut Conn, channel: &'static str) -> Result<()> {
    on_db!(conn,
        postgres: |c| {
            query("SELECT pg_notify($1, '')").bind(channel).execute(c).await?;
        },
        // Processes that share a file look by themselves.
        sqlite: |_c| {});
    Ok(())
}

/// Hears the hints of other processes.
pub struct Listener(Option<PgListener>);

impl Listener {
    /// Costs a connection on Postgres; never hears anything on SQLite.
    pub async fn start(store: &Store) -> Result<Self> {
        let Store::Postgres(pool) = store else { return Ok(Listener(None)) };
        let mut listener = PgListener::connect_with(pool).await?;
        listener.listen_all([WORK, PROVIDERS]).await?;
        Ok(Listener(Some(listener)))
    }

    /// Waits for the next hint; hints that came together are one.
    pub async fn next(&mut self) -> Result<Heard> {
        let Some(listener) = &mut self.0 else { return std::future::pending().await };
        let mut heard = Heard::default();
        let mut next = Some(listener.recv().await?);
        while let Some(hint) = next {
            heard.work |= hint.channel() == WORK;
            heard.providers |= hint.channel() == PROVIDERS;
            next = listener.next_buffered();
        }
        Ok(heard)
    }
}
