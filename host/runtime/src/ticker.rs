//! The clock that interrupts guests: one thread that counts epochs while a guest runs.
//!
//! **Invariant:** while no guest runs the thread is parked, so an idle host uses no CPU time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use wasmtime::Engine;

/// How often a running guest is interrupted.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// Owns the thread, which ends with this value.
pub(crate) struct Ticker {
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    running: AtomicUsize,
    stop: AtomicBool,
}

/// A guest is running; ticks go on until this is dropped.
pub(crate) struct Running<'a>(&'a State);

impl Ticker {
    pub(crate) fn start(engine: Engine) -> std::io::Result<Self> {
        let state = Arc::new(State::default());
        let thread = thread::Builder::new().name("plugin-epochs".into()).spawn({
            let state = Arc::clone(&state);
            move || tick(&engine, &state)
        })?;
        Ok(Self { state, thread: Some(thread) })
    }

    /// Keeps ticking for as long as the result lives.
    pub(crate) fn run(&self) -> Running<'_> {
        if self.state.running.fetch_add(1, Ordering::SeqCst) == 0 {
            self.wake();
        }
        Running(&self.state)
    }

    /// Guests running now.
    pub(crate) fn running(&self) -> usize {
        self.state.running.load(Ordering::SeqCst)
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::SeqCst);
        self.wake();
        if let Some(thread) = self.thread.take() {
            // The thread runs no code that can panic, and there is nobody to tell.
            let _ = thread.join();
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

fn tick(engine: &Engine, state: &State) {
    while !state.stop.load(Ordering::SeqCst) {
        if state.running.load(Ordering::SeqCst) == 0 {
            thread::park();
        } else if sleep_until(Instant::now() + TICK, state) {
            engine.increment_epoch();
        }
    }
}

/// Whether the time came before the end. Wake-ups in between are new guests, not ticks.
fn sleep_until(deadline: Instant, state: &State) -> bool {
    while !state.stop.load(Ordering::SeqCst) {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        thread::park_timeout(left);
    }
    false
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// How often the thread has gone to sleep.
    fn naps() -> u64 {
        let mut tasks = fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
        let comm = |task: &std::path::PathBuf| fs::read_to_string(task.join("comm"));
        let ours = tasks.find(|task| comm(task).is_ok_and(|name| name.trim() == "plugin-epochs"));
        let status = fs::read_to_string(ours.unwrap().join("status")).unwrap();
        let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        count.unwrap().trim().parse().unwrap()
    }

    #[test]
    fn it_ticks_only_while_a_guest_runs() {
        let ticker = Ticker::start(Engine::default()).unwrap();
        thread::sleep(3 * TICK);
        let idle = naps();
        thread::sleep(10 * TICK);
        assert_eq!(naps(), idle);
        let running = ticker.run();
        thread::sleep(10 * TICK);
        assert!(naps() > idle + 2);
        drop(running);
        thread::sleep(5 * TICK);
        let idle = naps();
        thread::sleep(10 * TICK);
        assert_eq!((naps(), ticker.running()), (idle, 0));
    }
}
