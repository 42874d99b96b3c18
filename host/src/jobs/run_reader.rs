use super::gather::gather;
use crate::{
    Error, Result,
    ids::{RunId, WorkspaceId},
    store::{
        Store,
        engines::{self, Engine},
        runs::{self, Attempt, Question},
    },
};
use std::collections::{BTreeSet, HashMap};
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::TaskTracker;

/// Reads what runs ask, as many at once as are waiting.
///
/// The counterpart of `RunWriter`: jobs that were claimed together share their queries, and a lone
/// run waits for nobody.
#[derive(Clone)]
pub(super) struct RunReader {
    wanted: mpsc::Sender<Wanted>,
}

/// A run with everything that decides whether and how it is asked.
#[derive(Debug)]
pub(super) struct Found {
    pub question: Question,
    /// `None` when the workspace has no such engine any more.
    pub engine: Option<Engine>,
    /// Of the calls made so far.
    pub last: Option<Attempt>,
}

struct Wanted {
    run: (WorkspaceId, RunId),
    found: oneshot::Sender<Result<Found>>,
}

/// Runs per query.
const GROUP: usize = 256;

impl RunReader {
    /// Its task ends when the last clone is dropped, and is waited for through `tasks`.
    pub(super) fn start(store: Store, tasks: &TaskTracker) -> Self {
        let (wanted, waiting) = mpsc::channel(4 * GROUP);
        tasks.spawn(read_all(store, waiting));
        RunReader { wanted }
    }

    pub(super) async fn find(&self, workspace: WorkspaceId, run: RunId) -> Result<Found> {
        let stopped = || Error::Unavailable("the worker is stopping".into());
        let (found, answer) = oneshot::channel();
        let wanted = Wanted { run: (workspace, run), found };
        self.wanted.send(wanted).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }
}

async fn read_all(store: Store, mut waiting: mpsc::Receiver<Wanted>) {
    let mut group = Vec::with_capacity(GROUP);
    while gather(&mut waiting, &mut group, GROUP).await {
        let wanted: BTreeSet<_> = group.iter().map(|wanted| wanted.run).collect();
        let read = read(&store, &wanted.into_iter().collect::<Vec<_>>()).await;
        match read {
            Ok(mut found) => {
                for Wanted { run: (_, run), found: answer } in group.drain(..) {
                    // A job runs in one task at a time, so nobody else waits for the same run.
                    let _ = answer.send(found.remove(&run).ok_or(Error::NotFound("run")));
                }
            }
            Err(err) => {
                for wanted in group.drain(..) {
                    let err = Error::Unavailable(format!("cannot read the run: {err}"));
                    let _ = wanted.found.send(Err(err));
                }
            }
        }
    }
}

async fn read(store: &Store, wanted: &[(WorkspaceId, RunId)]) -> Result<HashMap<RunId, Found>> {
    let mut conn = store.read().await?;
    let questions = runs::questions(&mut conn, wanted).await?;
    let keys: BTreeSet<_> =
        questions.iter().map(|q| (q.run.workspace_id, q.run.engine.as_str())).collect();
    let keys: Vec<_> = keys.into_iter().collect();
    let engines: HashMap<(WorkspaceId, String), Engine> = engines::of(&mut conn, &keys)
        .await?
        .into_iter()
        .map(|engine| ((engine.workspace_id, engine.key.clone()), engine))
        .collect();
    let called: Vec<_> = questions
        .iter()
        .filter(|question| question.run.attempts > 0)
        .map(|question| (question.run.workspace_id, question.run.number))
        .collect();
    let mut last = runs::last_attempts(&mut conn, &called).await?;
    drop(conn);
    Ok(questions
        .into_iter()
        .map(|question| {
            let key = (question.run.workspace_id, question.run.engine.clone());
            let engine = engines.get(&key).cloned();
            let last = last.remove(&question.run.number);
            (question.run.id, Found { question, engine, last })
        })
        .collect())
}
