use tokio::{sync::mpsc, task};

/// Fills `group` with what waits, up to `most`; `false` once nothing will come any more.
///
/// Tasks that were woken together send one after the other: whoever comes first gives the others
/// one turn to join it. That takes microseconds, and a lone one waits for nobody.
pub(super) async fn gather<T>(
    waiting: &mut mpsc::Receiver<T>,
    group: &mut Vec<T>,
    most: usize,
) -> bool {
    if waiting.recv_many(group, most).await == 0 {
        return false;
    }
    task::yield_now().await;
    while group.len() < most
        && let Ok(one) = waiting.try_recv()
    {
        group.push(one);
    }
    true
}
