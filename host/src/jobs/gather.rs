use std::time::Duration;
use tokio::{sync::mpsc, task};

/// How long a group waits for more: a statement for many costs little more than one for a few.
const LINGER: Duration = Duration::from_millis(2);

/// Fills `group` with what waits, up to `most`; `false` once nothing will come any more.
///
/// Tasks that were woken together send one after the other: whoever comes first gives the others
/// one turn to join it. A lone one waits for nobody; where there are several, more are on their
/// way, and the group waits a moment for them.
pub(super) async fn gather<T>(
    waiting: &mut mpsc::Receiver<T>,
    group: &mut Vec<T>,
    most: usize,
) -> bool {
    if waiting.recv_many(group, most).await == 0 {
        return false;
    }
    task::yield_now().await;
    fill(waiting, group, most);
    if group.len() > 1 && group.len() < most {
        tokio::time::sleep(LINGER).await;
        fill(waiting, group, most);
    }
    true
}

fn fill<T>(waiting: &mut mpsc::Receiver<T>, group: &mut Vec<T>, most: usize) {
    while group.len() < most
        && let Ok(one) = waiting.try_recv()
    {
        group.push(one);
    }
}
