//! Guests that take more than they may. Each test ends with a step that works.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aiv_runtime::types::Moment;
use aiv_runtime::{Blame, Class, Export, Limits, Plugin, PluginError};

use crate::support::{hostile, query, response, runtime, text};

/// The error of a prompt; afterwards the plugin still works.
async fn failure(plugin: &Plugin, prompt: &str) -> PluginError {
    let error = plugin.start(&query(prompt)).await.unwrap_err();
    assert_eq!(error.blame, Blame::Guest, "{error}");
    assert_eq!(error.export, Export::Start);
    assert_eq!(error.digest, plugin.digest());
    assert_eq!(text(&plugin.start(&query("still here")).await.unwrap()), "still here");
    error
}

#[tokio::test]
async fn an_endless_loop_is_ended_and_lets_others_run() {
    let plugin = hostile().await;
    let began = Instant::now();
    // One thread: whatever makes progress meanwhile does so because the guest yields.
    let ticks = async {
        for _ in 0..5 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        began.elapsed()
    };
    let looping = async {
        let error = failure(&plugin, "loop").await;
        (error, began.elapsed())
    };
    let ((error, ended), ticked) = tokio::join!(looping, ticks);
    assert_eq!(error.class, Class::Timeout, "{error}");
    assert!(error.message.contains("200 ms of CPU"), "{error}");
    assert!(ticked < ended, "five ticks took {ticked:?}, the loop {ended:?}");
    assert!(ended < Duration::from_secs(10), "{ended:?}");
}

#[tokio::test]
async fn an_endless_loop_in_resume_is_ended_too() {
    let plugin = hostile().await;
    let limits = Limits { cpu: Duration::from_millis(30), ..Limits::default() };
    let moment = Moment { now_unix: 0.0, seed: 0 };
    let step = plugin.with_limits(limits).resume(b"loop", &response(""), moment).await;
    let error = step.unwrap_err();
    assert_eq!((error.class, error.export), (Class::Timeout, Export::Resume), "{error}");
    assert!(error.message.contains("30 ms"), "{error}");
}

#[tokio::test]
async fn a_sleeping_guest_is_ended() {
    let limits = Limits { wall: Duration::from_millis(100), ..Limits::default() };
    let error = failure(&hostile().await.with_limits(limits), "sleep").await;
    assert_eq!(error.class, Class::Timeout, "{error}");
    assert!(error.message.contains("pause"), "{error}");
}

#[tokio::test]
async fn a_memory_bomb_hits_its_limit() {
    let plugin = hostile().await;
    for prompt in ["memory", "memory-at-once"] {
        let error = failure(&plugin, prompt).await;
        assert_eq!(error.class, Class::OutOfMemory, "{error}");
        assert!(error.message.contains("67108864"), "{error}");
        assert!(error.message.contains("raise the plugin's memory limit"), "{error}");
    }
}

#[tokio::test]
async fn a_plugin_may_have_a_limit_of_its_own() {
    let limits = Limits { memory_bytes: 2 << 20, ..Limits::default() };
    let error = failure(&hostile().await.with_limits(limits), "memory").await;
    assert!(error.message.contains("2097152"), "{error}");
}

#[tokio::test]
async fn deep_recursion_is_a_trap() {
    let error = failure(&*hostile().await, "recursion").await;
    assert_eq!(error.class, Class::Trap, "{error}");
    assert!(error.message.contains("stack"), "{error}");
    assert_eq!(error.backtrace.len(), 20);
}

#[tokio::test]
async fn a_panic_says_what_the_guest_said() {
    let error = failure(&*hostile().await, "panic").await;
    assert_eq!(error.class, Class::Trap, "{error}");
    assert!(error.message.contains("the moon is made of cheese"), "{error}");
    assert!(error.message.contains("abuse.rs"), "{error}");
    assert!(error.stderr.contains("the moon is made of cheese"), "{}", error.stderr);
    let frames = error.backtrace.join("\n");
    assert!(frames.contains("hostile::abuse::run"), "{frames}");
    assert!(error.backtrace.len() <= 20);
}

#[tokio::test]
async fn stderr_is_kept_up_to_its_limit() {
    let error = failure(&*hostile().await, "panic-after-noise").await;
    assert_eq!(error.class, Class::Trap, "{error}");
    assert_eq!(error.stderr.len(), 16 << 10);
}

#[tokio::test]
async fn exiting_is_a_trap() {
    let error = failure(&*hostile().await, "exit").await;
    assert_eq!(error.class, Class::Trap, "{error}");
    assert!(error.message.contains("exited with status"), "{error}");
}

#[tokio::test]
async fn a_flood_of_logs_is_cut() {
    let report = hostile().await.start(&query("log-flood")).await.unwrap();
    assert_eq!(report.logs.len(), 200);
    assert_eq!(report.dropped_logs, 9_801);
    let bytes: usize = report.logs.iter().map(|line| line.message.len()).sum();
    assert!(bytes <= 32 << 10, "{bytes}");
}

#[tokio::test]
async fn more_data_than_a_call_may_carry_is_refused() {
    let plugin = hostile().await;
    for prompt in ["huge-answer", "alias-bomb"] {
        let error = failure(&plugin, prompt).await;
        assert_eq!(error.class, Class::Policy, "{error}");
        assert!(error.message.contains("more data"), "{error}");
    }
}

#[tokio::test]
async fn many_abusers_at_once_do_no_harm() {
    let plugin = hostile().await;
    let mut tasks = tokio::task::JoinSet::new();
    for prompt in ["loop", "memory", "recursion", "panic", "exit", "log-flood", "big-state"] {
        for _ in 0..5 {
            let plugin = Arc::clone(&plugin);
            tasks.spawn(async move { plugin.start(&query(prompt)).await.is_ok() });
        }
    }
    let honest = async {
        for _ in 0..50 {
            assert_eq!(text(&plugin.start(&query("honest")).await.unwrap()), "honest");
        }
    };
    let (worked, ()) = tokio::join!(tasks.join_all(), honest);
    assert_eq!(worked.into_iter().filter(|worked| *worked).count(), 5);
}

#[tokio::test]
async fn an_abandoned_step_frees_its_slot() {
    let (runtime, _dir) = runtime();
    let plugin = runtime.load(&crate::support::guest("hostile")).await.unwrap();
    let query = query("loop");
    let step = plugin.start(&query);
    assert!(tokio::time::timeout(Duration::from_millis(30), step).await.is_err());
    assert_eq!(runtime.running(), 0);
    // The plugin outlives the runtime that loaded it.
    drop(runtime);
    assert_eq!(text(&plugin.start(&crate::support::query("on")).await.unwrap()), "on");
}
