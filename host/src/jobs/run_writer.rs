use crate::{
    Clock, Error, Result,
    ids::ProcessId,
    store::{
        Store,
        citations::{self, DomainNumbers},
        run_writes::{self, Begin, End, Fetched},
    },
};
use chrono::{DateTime, Utc};
use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
    time::Duration,
};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio_util::task::TaskTracker;

/// Writes what happens to runs, as many at once as are waiting.
///
/// While one group is being committed the next one gathers, so a lone run waits for nobody and a
/// thousand share a commit. Begins do not wait for ends: whoever begins has a vendor to ask.
///
/// **Invariant:** of one run nothing is given here before the last thing given was answered, so
/// that groups may be written side by side.
/// **Invariant:** an answer that was paid for is kept until it is written, however long the database
/// is away, for as long as its task lives: the call is not repeated for want of a database.
#[derive(Clone)]
pub(super) struct RunWriter {
    begins: mpsc::Sender<Write>,
    ends: mpsc::Sender<Write>,
}

enum Write {
    Begin(Box<Begin>, oneshot::Sender<Result<bool>>),
    Fetched(Box<Fetched>, oneshot::Sender<Result<bool>>),
    End(ProcessId, Box<End>, oneshot::Sender<Result<bool>>),
}

/// Runs per commit.
const GROUP: usize = 256;

/// Groups of ends on their way at once: one is computed while another is flushed.
const ENDING: usize = 2;

impl RunWriter {
    /// Its tasks end when the last clone is dropped, and are waited for through `tasks`.
    pub(super) fn start(store: &Store, clock: &Clock, tasks: &TaskTracker) -> Self {
        let writer = |writes| Writer {
            store: store.clone(),
            clock: clock.clone(),
            writes,
            domains: DomainNumbers::new(),
        };
        let (begins, waiting) = mpsc::channel(4 * GROUP);
        tasks.spawn(writer(Arc::new(Mutex::new(waiting))).run());
        let (ends, waiting) = mpsc::channel(4 * GROUP);
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..ENDING {
            tasks.spawn(writer(Arc::clone(&waiting)).run());
        }
        RunWriter { begins, ends }
    }

    /// `false` when the run may not be called any more.
    pub(super) async fn begin(&self, begin: Begin) -> Result<bool> {
        write(&self.begins, |done| Write::Begin(Box::new(begin), done)).await
    }

    pub(super) async fn fetched(&self, fetched: Fetched) -> Result<()> {
        write(&self.ends, |done| Write::Fetched(Box::new(fetched), done)).await.map(drop)
    }

    /// `false` when the job is no longer `owner`'s, and so nothing was written.
    pub(super) async fn end(&self, owner: ProcessId, end: End) -> Result<bool> {
        write(&self.ends, |done| Write::End(owner, Box::new(end), done)).await
    }
}

async fn write(
    writes: &mpsc::Sender<Write>,
    write: impl FnOnce(oneshot::Sender<Result<bool>>) -> Write,
) -> Result<bool> {
    let stopped = || Error::Unavailable("the worker is stopping".into());
    let (done, written) = oneshot::channel();
    writes.send(write(done)).await.map_err(|_| stopped())?;
    written.await.map_err(|_| stopped())?
}

/// One of those that write groups.
struct Writer {
    store: Store,
    clock: Clock,
    writes: Arc<Mutex<mpsc::Receiver<Write>>>,
    /// Those met so far.
    domains: DomainNumbers,
}

/// Domains remembered, about; then all are forgotten.
const DOMAINS_KEPT: usize = 50_000;

impl Writer {
    async fn run(mut self) {
        let mut group = Vec::with_capacity(GROUP);
        // Whoever holds the receiver gathers; the others are writing.
        while self.writes.lock().await.recv_many(&mut group, GROUP).await > 0 {
            match self.insist(&mut group).await {
                Ok(results) => {
                    for (write, result) in group.drain(..).zip(results) {
                        write.answer(Ok(result));
                    }
                }
                // One bad row must not take the others with it: each gets a transaction of its own.
                Err(err) if group.len() > 1 => {
                    tracing::warn!(writes = group.len(), "writing runs one by one: {err}");
                    for write in group.drain(..) {
                        let mut alone = vec![write];
                        let result = self.insist(&mut alone).await;
                        if let Some(write) = alone.pop() {
                            let first =
                                |results: Vec<bool>| results.first().copied().unwrap_or(false);
                            write.answer(result.map(first));
                        }
                    }
                }
                Err(err) => {
                    for write in group.drain(..) {
                        let text = format!("cannot write the run: {err}");
                        write.answer(Err(Error::Unavailable(text)));
                    }
                }
            }
        }
    }

    /// Writes a group, again and again while the database is away. What nobody waits for any more
    /// leaves the group.
    ///
    /// A commit whose confirmation was lost is no harm: begins and answers change nothing the second
    /// time, and an end that counted once does not count again.
    async fn insist(&mut self, group: &mut Vec<Write>) -> Result<Vec<bool>> {
        let mut pause = Duration::from_millis(50);
        loop {
            match self.write(group, self.clock.now()).await {
                Err(Error::Unavailable(why)) => {
                    tracing::warn!(writes = group.len(), "will write runs later: {why}");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(1));
                    group.retain(Write::is_awaited);
                    if group.is_empty() {
                        return Ok(vec![]);
                    }
                }
                written => return written,
            }
        }
    }

    /// Whether each write took effect, in order.
    async fn write(&mut self, group: &[Write], now: DateTime<Utc>) -> Result<Vec<bool>> {
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
        self.learn_domains(&ends).await?;
        let mut tx = self.store.begin().await?;
        let started = run_writes::begin(&mut tx, &mut begins, now).await?;
        run_writes::fetched(&mut tx, &mut answers, now).await?;
        let ended = match owner {
            Some(owner) => run_writes::end(&mut tx, owner, &mut ends, &self.domains, now).await?,
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

    /// Looks up the domains that the ends cite. New ones are added in a transaction of their own:
    /// a number is for good then, whatever becomes of the ends, and nobody waits long for it.
    async fn learn_domains(&mut self, ends: &[&End]) -> Result<()> {
        if self.domains.len() > DOMAINS_KEPT {
            self.domains.clear();
        }
        let cited = ends.iter().flat_map(|end| &end.citations).map(|citation| &*citation.domain);
        let unknown: BTreeSet<&str> =
            cited.filter(|name| !self.domains.contains_key(*name)).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let unknown: Vec<_> = unknown.into_iter().collect();
        let mut tx = self.store.begin().await?;
        let numbers = citations::domain_numbers(&mut tx, &unknown).await?;
        tx.commit().await?;
        self.domains.extend(numbers);
        Ok(())
    }
}

impl Write {
    /// Its task was not stopped meanwhile.
    fn is_awaited(&self) -> bool {
        let (Write::Begin(_, done) | Write::Fetched(_, done) | Write::End(_, _, done)) = self;
        !done.is_closed()
    }

    fn answer(self, result: Result<bool>) {
        let (Write::Begin(_, done) | Write::Fetched(_, done) | Write::End(_, _, done)) = self;
        // A task that was stopped meanwhile does not listen any more.
        let _ = done.send(result);
    }
}
