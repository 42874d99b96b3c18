use super::gather::gather;
use crate::{
    Clock, Error, Result,
    ids::ProcessId,
    store::{
        Store, budget_notices,
        budgets::{Books, Policy},
        citations::{self, DomainNumbers},
        run_writes::{self, Begin, Begun, End, Fetched},
    },
};
use chrono::{DateTime, Utc};
use std::{
    collections::{BTreeSet, HashSet},
    time::Duration,
};
use tokio::sync::{mpsc, oneshot};
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
    Begin(Box<Begin>, oneshot::Sender<Result<Said>>),
    Fetched(Box<Fetched>, oneshot::Sender<Result<Said>>),
    End(ProcessId, Box<End>, oneshot::Sender<Result<Said>>),
}

/// What became of a write.
#[derive(Debug, Clone)]
enum Said {
    Begun(Begun),
    Written(bool),
}

/// Runs per commit.
const GROUP: usize = 256;

impl RunWriter {
    /// Its tasks end when the last clone is dropped, and are waited for through `tasks`.
    pub(super) fn start(
        store: &Store,
        clock: &Clock,
        policy: &Policy,
        tasks: &TaskTracker,
    ) -> Self {
        let writer = |writes| Writer {
            store: store.clone(),
            clock: clock.clone(),
            policy: *policy,
            writes,
            domains: DomainNumbers::new(),
        };
        let (begins, waiting) = mpsc::channel(4 * GROUP);
        tasks.spawn(writer(waiting).run());
        // One group of ends at a time: two would wait for each other at the counts, and share
        // their commits among fewer.
        let (ends, waiting) = mpsc::channel(4 * GROUP);
        tasks.spawn(writer(waiting).run());
        RunWriter { begins, ends }
    }

    pub(super) async fn begin(&self, begin: Begin) -> Result<Begun> {
        match write(&self.begins, |done| Write::Begin(Box::new(begin), done)).await? {
            Said::Begun(answer) => Ok(answer),
            Said::Written(_) => Ok(Begun::Gone),
        }
    }

    pub(super) async fn fetched(&self, fetched: Fetched) -> Result<()> {
        write(&self.ends, |done| Write::Fetched(Box::new(fetched), done)).await.map(drop)
    }

    /// `false` when the job is no longer `owner`'s, and so nothing was written.
    pub(super) async fn end(&self, owner: ProcessId, end: End) -> Result<bool> {
        let said = write(&self.ends, |done| Write::End(owner, Box::new(end), done)).await?;
        Ok(matches!(said, Said::Written(true)))
    }
}

async fn write(
    writes: &mpsc::Sender<Write>,
    write: impl FnOnce(oneshot::Sender<Result<Said>>) -> Write,
) -> Result<Said> {
    let stopped = || Error::Unavailable("the worker is stopping".into());
    let (done, written) = oneshot::channel();
    writes.send(write(done)).await.map_err(|_| stopped())?;
    written.await.map_err(|_| stopped())?
}

/// One of those that write groups.
struct Writer {
    store: Store,
    clock: Clock,
    policy: Policy,
    writes: mpsc::Receiver<Write>,
    /// Those met so far.
    domains: DomainNumbers,
}

/// Domains remembered, about; then all are forgotten.
const DOMAINS_KEPT: usize = 50_000;

impl Writer {
    async fn run(mut self) {
        let mut group = Vec::with_capacity(GROUP);
        while gather(&mut self.writes, &mut group, GROUP).await {
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
                            let first = |said: Vec<Said>| said.into_iter().next();
                            let said = result.map(first);
                            write.answer(said.map(|said| said.unwrap_or(Said::Written(false))));
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
    async fn insist(&mut self, group: &mut Vec<Write>) -> Result<Vec<Said>> {
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
    async fn write(&mut self, group: &[Write], now: DateTime<Utc>) -> Result<Vec<Said>> {
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
        let mut books = Books::default();
        run_writes::fetched(&mut tx, &mut answers, now).await?;
        let ended = match owner {
            Some(owner) => {
                run_writes::end(&mut tx, &mut books, owner, &mut ends, &self.domains, now).await?
            }
            None => HashSet::new(),
        };
        // Budgets come last: other processes wait for the same rows until the commit.
        let mut answers_to =
            run_writes::begin(&mut tx, &mut books, &mut begins, &self.policy, now).await?;
        books.post(&mut tx, &self.policy, now).await?;
        budget_notices::tell(&mut tx, &books, &self.policy, now).await?;
        tx.commit().await?;
        Ok(group
            .iter()
            .map(|write| match write {
                Write::Begin(begin, _) => {
                    Said::Begun(answers_to.remove(&begin.run_number).unwrap_or(Begun::Gone))
                }
                Write::Fetched(..) => Said::Written(true),
                Write::End(_, end, _) => Said::Written(ended.contains(&end.job)),
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

    fn answer(self, result: Result<Said>) {
        let (Write::Begin(_, done) | Write::Fetched(_, done) | Write::End(_, _, done)) = self;
        // A task that was stopped meanwhile does not listen any more.
        let _ = done.send(result);
    }
}
