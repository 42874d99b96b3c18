//! Hints between processes that share a database: "there is work". They may get lost.

use super::{Conn, Store, on_db};
use crate::Result;
use sqlx::{postgres::PgListener, query};

const WORK: &str = "aiv_work";

/// Tells other processes, once the caller's transaction is committed, that there is work.
pub async fn work(conn: &mut Conn) -> Result<()> {
    on_db!(conn,
        postgres: |c| {
            query("SELECT pg_notify($1, '')").bind(WORK).execute(c).await?;
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
        listener.listen(WORK).await?;
        Ok(Listener(Some(listener)))
    }

    /// Waits for the next hint; hints that came together are one.
    pub async fn next(&mut self) -> Result<()> {
        match &mut self.0 {
            Some(listener) => {
                listener.recv().await?;
                while listener.next_buffered().is_some() {}
                Ok(())
            }
            None => std::future::pending().await,
        }
    }
}
