use crate::{
    Clock, Error, Result,
    ids::ProcessId,
    store::{
        Store,
        run_writes::{self, Begin, End, Fetched},
    },
};
use chrono::{DateTime, Utc};
use std::collections::HashSet;
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::TaskTracker;

/// Writes what happens to runs, as many at once as are waiting.
///
/// While one group is being committed the next one gathers, so a lone run waits for nobody and a
/// thousand share a commit.
#[derive(Clone)]
pub(super) struct RunWriter {
    writes: mpsc::Sender<Write>,
}

enum Write {
    Begin(Box<Begin>, oneshot::Sender<Result<bool>>),
    Fetched(Box<Fetched>, oneshot::Sender<Result<bool>>),
    End(ProcessId, Box<End>, oneshot::Sender<Result<bool>>),
}

/// Runs per commit.
const GROUP: usize = 256;

impl RunWriter {
    /// Its task ends when the last clone is dropped, and is waited for through `tasks`.
    pub(super) fn start(store: Store, clock: Clock, tasks: &TaskTracker) -> Self {
        let (writes, waiting) = mpsc::channel(4 * GROUP);
        tasks.spawn(write_all(store, clock, waiting));
        RunWriter { writes }
    }

    /// `false` when the run may not be called any more.
    pub(super) async fn begin(&self, begin: Begin) -> Result<bool> {
        self.write(|done| Write::Begin(Box::new(begin), done)).await
    }

    pub(super) async fn fetched(&self, fetched: Fetched) -> Result<()> {
        self.write(|done| Write::Fetched(Box::new(fetched), done)).await.map(drop)
    }

    /// `false` when the job is no longer `owner`'s, and so nothing was written.
    pub(super) async fn end(&self, owner: ProcessId, end: End) -> Result<bool> {
        self.write(|done| Write::End(owner, Box::new(end), done)).await
    }

    async fn write(
        &self,
        write: impl FnOnce(oneshot::Sender<Result<bool>>) -> Write,
    ) -> Result<bool> {
        let stopped = || Error::Unavailable("the worker is stopping".into());
        let (done, written) = oneshot::channel();
        self.writes.send(write(done)).await.map_err(|_| stopped())?;
        written.await.map_err(|_| stopped())?
    }
}

async fn write_all(store: Store, clock: Clock, mut waiting: mpsc::Receiver<Write>) {
    let mut group = Vec::with_capacity(GROUP);
    while waiting.recv_many(&mut group, GROUP).await > 0 {
        let now = clock.now();
        match write_group(&store, &group, now).await {
            Ok(results) => {
                for (write, result) in group.drain(..).zip(results) {
                    write.answer(Ok(result));
                }
            }
            // One bad row must not take the others with it: each gets a transaction of its own.
            Err(err) if group.len() > 1 => {
                tracing::warn!(writes = group.len(), "writing runs one by one: {err}");
                for write in group.drain(..) {
                    let result = write_group(&store, std::slice::from_ref(&write), now).await;
                    write.answer(result.map(|results| results.first().copied().unwrap_or(false)));
                }
            }
            Err(err) => {
                for write in group.drain(..) {
                    write.answer(Err(Error::Unavailable(format!("cannot write the run: {err}"))));
                }
            }
        }
    }
}

/// Whether each write took effect, in order.
async fn write_group(store: &Store, group: &[Write], now: DateTime<Utc>) -> Result<Vec<bool>> {
    let (mut begins, mut answers, mut ends) = (Vec::new(), Vec::new(), Vec::new());
    let mut owner = None;
    for write in group {
        match write {
            Write::Begin(begin, _) => begins.push(&**begin),
            Write::Fetched(fetched, _) => answers.push(&**fetched),
            Write::End(by, end, _) => {
                owner = Some(*by);
                ends.push(&**end);
            }
        }
    }
    let mut tx = store.begin().await?;
    let started = run_writes::begin(&mut tx, &begins, now).await?;
    run_writes::fetched(&mut tx, &answers, now).await?;
    let ended = match owner {
        Some(owner) => run_writes::end(&mut tx, owner, &ends, now).await?,
        None => HashSet::new(),
    };
    tx.commit().await?;
    Ok(group
        .iter()
        .map(|write| match write {
            Write::Begin(begin, _) => started.contains(&begin.run_number),
            Write::Fetched(..) => true,
            Write::End(_, end, _) => ended.contains(&end.job),
        })
        .collect())
}

impl Write {
    fn answer(self, result: Result<bool>) {
        let (Write::Begin(_, done) | Write::Fetched(_, done) | Write::End(_, _, done)) = self;
        // A task that was stopped meanwhile does not listen any more.
        let _ = done.send(result);
    }
}
