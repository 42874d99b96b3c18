use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicI64, Ordering},
};

/// Where the host reads the time, so that tests can set it.
///
/// Instants carry microseconds and no more: that is what Postgres keeps. Clocks of machines
/// differ, and leases compare instants of several machines: each process lets its clock follow
/// the database's.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    fixed: Option<Arc<Mutex<DateTime<Utc>>>>,
    /// What a running clock adds to the system's time, in microseconds.
    ahead: Arc<AtomicI64>,
}

impl Clock {
    /// A clock that stands still until [`Clock::advance`] moves it.
    pub fn fixed(at: DateTime<Utc>) -> Self {
        Self { fixed: Some(Arc::new(Mutex::new(at))), ahead: Arc::default() }
    }

    /// A running clock that is wrong by `by`, as machines' clocks are.
    pub fn wrong(by: TimeDelta) -> Self {
        let clock = Self::default();
        clock.ahead.store(by.num_microseconds().unwrap_or(0), Ordering::Relaxed);
        clock
    }

    pub fn now(&self) -> DateTime<Utc> {
        if let Some(at) = &self.fixed {
            return *at.lock().unwrap_or_else(PoisonError::into_inner);
        }
        let ahead = TimeDelta::microseconds(self.ahead.load(Ordering::Relaxed));
        #[expect(clippy::disallowed_methods, reason = "the one place that reads the time")]
        let now = Utc::now();
        (now + ahead).trunc_subsecs(6)
    }

    /// Lets a running clock show what another one shows at this moment, when there is one.
    pub fn follow(&self, other: Option<DateTime<Utc>>) {
        if let (Some(other), None) = (other, &self.fixed) {
            let behind = (other - self.now()).num_microseconds().unwrap_or(0);
            self.ahead.fetch_add(behind, Ordering::Relaxed);
        }
    }

    /// Moves a fixed clock forward. A running clock ignores it.
    pub fn advance(&self, by: TimeDelta) {
        if let Some(at) = &self.fixed {
            *at.lock().unwrap_or_else(PoisonError::into_inner) += by;
        }
    }
}
