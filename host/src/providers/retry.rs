//! What happens after a failed attempt. Pure: the caller brings the clock and the dice.
//!
//! **Invariant:** one layer retries, and this is its only rule: a component classifies, a
//! transport reports, neither repeats anything.

use super::failure::{CallFailure, FailureClass};
use aiv_runtime::types::ErrorKind;
use std::time::Duration;

const BASE: Duration = Duration::from_secs(2);
const CAP: Duration = Duration::from_mins(5);

/// How long a run may be put off by rate limits, all together.
pub const MAX_WAIT: Duration = Duration::from_hours(24);

/// For a rate limit that does not say when it ends.
const RATE_LIMIT_PAUSE: Duration = Duration::from_secs(30);

/// A crash may be bad luck once (memory pressure); the same input crashes the same code again.
const GUEST_ATTEMPTS: u16 = 2;

/// A failed attempt and its history.
#[derive(Debug, Clone, Copy)]
pub struct Situation {
    pub kind: ErrorKind,
    pub class: FailureClass,
    /// The attempt that failed, from 1.
    pub attempt: u16,
    pub max_attempts: u16,
    pub retry_after_ms: Option<u32>,
    /// Since the first attempt began.
    pub waited: Duration,
    /// Evenly distributed in 0..1.
    pub random: f64,
}

impl Situation {
    pub fn of(
        failure: &CallFailure,
        attempt: u16,
        max_attempts: u16,
        waited: Duration,
        random: f64,
    ) -> Self {
        Self {
            kind: failure.kind,
            class: failure.class,
            attempt,
            max_attempts,
            retry_after_ms: failure.retry_after_ms,
            waited,
            random,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    Retry {
        after: Duration,
        /// Being put off by a rate limit is not an attempt.
        counts_as_attempt: bool,
    },
    Fail,
    /// No further run of this engine would fare better.
    FailAndPauseEngine {
        /// How long; none means until an operator acts.
        pause: Option<Duration>,
    },
}

/// Whether the same request may work later without anybody acting.
pub fn is_retryable(kind: ErrorKind) -> bool {
    match kind {
        ErrorKind::RateLimited
        | ErrorKind::UpstreamUnavailable
        | ErrorKind::Timeout
        | ErrorKind::MalformedResponse => true,
        ErrorKind::InvalidRequest
        | ErrorKind::Auth
        | ErrorKind::NotEntitled
        | ErrorKind::QuotaExhausted
        | ErrorKind::ContentBlocked => false,
    }
}

pub fn decide(situation: &Situation) -> Decision {
    let &Situation { kind, class, attempt, max_attempts, waited, random, .. } = situation;
    let hint = situation.retry_after_ms.map(|ms| Duration::from_millis(ms.into()));
    let back_off = |hint: Option<Duration>| Decision::Retry {
        after: full_jitter(attempt, random).max(hint.unwrap_or_default()),
        counts_as_attempt: true,
    };
    match class {
        FailureClass::Trap | FailureClass::Timeout | FailureClass::OutOfMemory => {
            return if attempt < max_attempts.min(GUEST_ATTEMPTS) {
                back_off(None)
            } else {
                Decision::Fail
            };
        }
        FailureClass::Abi | FailureClass::Policy => return Decision::Fail,
        FailureClass::Credential => return Decision::FailAndPauseEngine { pause: None },
        FailureClass::Failed | FailureClass::Deadline => {}
    }
    match kind {
        ErrorKind::Auth | ErrorKind::NotEntitled => Decision::FailAndPauseEngine { pause: None },
        ErrorKind::QuotaExhausted => Decision::FailAndPauseEngine { pause: hint },
        ErrorKind::InvalidRequest | ErrorKind::ContentBlocked => Decision::Fail,
        ErrorKind::RateLimited => {
            // Everybody who was refused now must not come back at the same moment.
            let spread = RATE_LIMIT_PAUSE.mul_f64(random);
            let after = hint.map_or(RATE_LIMIT_PAUSE + spread, |hint| hint + spread.min(hint));
            if waited + after > MAX_WAIT {
                Decision::Fail
            } else {
                Decision::Retry { after, counts_as_attempt: false }
            }
        }
        ErrorKind::UpstreamUnavailable | ErrorKind::Timeout | ErrorKind::MalformedResponse => {
            if attempt < max_attempts && hint.is_none_or(|hint| waited + hint <= MAX_WAIT) {
                back_off(hint)
            } else {
                Decision::Fail
            }
        }
    }
}

/// Anywhere between at once and the exponential bound, so that failures do not march in step.
fn full_jitter(attempt: u16, random: f64) -> Duration {
    let doublings = u32::from(attempt.saturating_sub(1)).min(16);
    (BASE * 2_u32.pow(doublings)).min(CAP).mul_f64(random.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(kind: ErrorKind, attempt: u16) -> Situation {
        Situation {
            kind,
            class: FailureClass::Failed,
            attempt,
            max_attempts: 4,
            retry_after_ms: None,
            waited: Duration::ZERO,
            random: 0.5,
        }
    }

    fn retry(after_ms: u64, counts_as_attempt: bool) -> Decision {
        Decision::Retry { after: Duration::from_millis(after_ms), counts_as_attempt }
    }

    #[test]
    fn every_kind_has_its_answer() {
        let stop = Decision::FailAndPauseEngine { pause: None };
        for (kind, first, last) in [
            (ErrorKind::InvalidRequest, Decision::Fail, Decision::Fail),
            (ErrorKind::ContentBlocked, Decision::Fail, Decision::Fail),
            (ErrorKind::Auth, stop, stop),
            (ErrorKind::NotEntitled, stop, stop),
            (ErrorKind::QuotaExhausted, stop, stop),
            (ErrorKind::RateLimited, retry(45_000, false), retry(45_000, false)),
            (ErrorKind::UpstreamUnavailable, retry(1_000, true), Decision::Fail),
            (ErrorKind::Timeout, retry(1_000, true), Decision::Fail),
            (ErrorKind::MalformedResponse, retry(1_000, true), Decision::Fail),
        ] {
            assert_eq!(decide(&failed(kind, 1)), first, "{kind:?}");
            assert_eq!(decide(&failed(kind, 4)), last, "{kind:?}");
            let retried = matches!(first, Decision::Retry { .. });
            assert_eq!(is_retryable(kind), retried, "{kind:?}");
        }
    }

    #[test]
    fn what_the_host_saw_outweighs_the_kind() {
        let with = |class, attempt| {
            decide(&Situation { class, ..failed(ErrorKind::MalformedResponse, attempt) })
        };
        for class in [FailureClass::Trap, FailureClass::Timeout, FailureClass::OutOfMemory] {
            assert_eq!(with(class, 1), retry(1_000, true));
            assert_eq!(with(class, 2), Decision::Fail);
        }
        assert_eq!(with(FailureClass::Abi, 1), Decision::Fail);
        assert_eq!(with(FailureClass::Policy, 1), Decision::Fail);
        assert_eq!(with(FailureClass::Credential, 1), Decision::FailAndPauseEngine { pause: None });
        assert_eq!(with(FailureClass::Deadline, 1), retry(1_000, true));
    }

    #[test]
    fn back_off_doubles_up_to_its_cap() {
        for (attempt, ms) in [(1, 1_000), (2, 2_000), (3, 4_000), (8, 128_000), (9, 150_000)] {
            let situation =
                Situation { max_attempts: 99, ..failed(ErrorKind::UpstreamUnavailable, attempt) };
            assert_eq!(decide(&situation), retry(ms, true), "attempt {attempt}");
        }
        assert_eq!(full_jitter(u16::MAX, 1.0), CAP);
        assert_eq!(full_jitter(1, 0.0), Duration::ZERO);
    }

    #[test]
    fn a_hint_is_honoured_within_a_day() {
        let hinted = |kind, ms, waited| {
            decide(&Situation { retry_after_ms: Some(ms), waited, random: 0.0, ..failed(kind, 1) })
        };
        let limited = ErrorKind::RateLimited;
        assert_eq!(hinted(limited, 29_000, Duration::ZERO), retry(29_000, false));
        assert_eq!(hinted(limited, 29_000, MAX_WAIT), Decision::Fail);
        assert_eq!(
            hinted(ErrorKind::UpstreamUnavailable, 60_000, Duration::ZERO),
            retry(60_000, true)
        );
        assert_eq!(
            hinted(ErrorKind::QuotaExhausted, 3_600_000, Duration::ZERO),
            Decision::FailAndPauseEngine { pause: Some(Duration::from_hours(1)) }
        );
    }
}
