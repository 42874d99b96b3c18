//! Other components while runs are on their way.

use crate::{
    providers::{ADJUSTABLE, actions, ask, install, runs, with_adjustable},
    support::{Host, alter_component, guest::adjustable, plugin_dir},
};
use aiv::{
    App,
    providers::registry::{
        activate::{self, Wish},
        watch::Folder,
    },
    queue::{Presence, ProcessRole},
    store::{
        activations::{self, Activation},
        audit_logs::Actor,
        provider_calls,
    },
};
use aiv_bench::mock::{Control, Mock};
use chrono::TimeDelta;
use serde_json::{Value, json};
use std::time::Duration;

async fn swap(host: &Host, digest: &str) -> Value {
    host.post(&format!("{ADJUSTABLE}/activate"), json!({"digest": digest})).await.expect(200)
}

/// How many runs each component asked.
fn shares(runs: &[Value], digest: &str) -> usize {
    assert!(runs.iter().all(|run| run["state"] == "succeeded"), "{runs:#?}");
    runs.iter().filter(|run| run["provider_digest"] == digest).count()
}

#[tokio::test]
async fn a_call_that_waits_goes_on_with_the_component_that_made_its_state() {
    let (host, _) = with_adjustable(&[]).await;
    let pausing = [("version", "1.1.0"), ("behave", "pause"), ("pause-ms", "2000")];
    let pausing = install(&host, &pausing).await;
    swap(&host, &pausing).await;
    host.post("/v1/prompts", json!({"text": "Which tool?"})).await.expect(201);
    let batch = host.start_batch(1, "2026-01-01T00:00:00Z").await.to_string();
    host.work_until_idle().await;
    assert_eq!(runs(&host, &batch).await[0]["state"], "running");

    for version in ["1.2.0", "1.3.0", "1.4.0"] {
        let next = install(&host, &[("version", version)]).await;
        swap(&host, &next).await;
    }
    let deleted = host.delete(format!("{ADJUSTABLE}/components")).await.expect(200);
    assert!(!deleted["digests"].as_array().unwrap().contains(&json!(pausing)), "it is waited for");
    host.work().await;
    let ended = runs(&host, &batch).await.remove(0);
    assert_eq!(
        (&ended["state"], &ended["provider_digest"]),
        (&json!("succeeded"), &json!(pausing))
    );
    let answer = format!("/v1/answers/{}", ended["id"].as_str().unwrap());
    let text = host.get(&answer).await.expect(200)["text"].clone();
    assert_eq!(text, "Asana, says 1.1.0 after a pause.");
}

#[tokio::test]
async fn runs_on_their_way_notice_no_swap() {
    let vendors = Mock::start().await.unwrap();
    vendors.control(Control { latency_ms: 150, ..Control::default() });
    let host = Host::start_mocked(vendors.url()).await.operator().await;
    host.seed_demo(10).await;
    let path = "/v1/admin/providers/perplexity";
    let first = host.app.providers.find("perplexity").unwrap().digest.to_string();
    let mut other = std::fs::read(plugin_dir().join("perplexity.wasm")).unwrap();
    // A custom section changes nothing but the digest.
    other.extend(b"\x00\x08\x05label\x02\x02");
    let second = host.upload(path, other).await.expect(201)["digest"].as_str().unwrap().to_owned();
    host.put("/v1/engines/perplexity", json!({"concurrency": 4})).await.expect(200);
    let batch = host.start_batch(4, "2026-01-01T00:00:00Z").await.to_string();
    let swaps = async {
        let mut swaps = 0;
        loop {
            let digest = if swaps % 2 == 0 { &second } else { &first };
            let body = json!({"digest": digest});
            host.post(format!("{path}/activate"), body).await.expect(200);
            swaps += 1;
            let calls = vendors.stats().all.calls;
            while vendors.stats().all.calls < calls + 5 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    };
    tokio::select! {
        () = host.work() => {}
        () = swaps => {}
    }
    let runs = runs(&host, &batch).await;
    assert_eq!(runs.len(), 120);
    let asked: Vec<_> = runs.into_iter().filter(|run| run["engine"] == "perplexity").collect();
    let (by_first, by_second) = (shares(&asked, &first), shares(&asked, &second));
    assert_eq!(by_first + by_second, 40);
    assert!(by_first > 0 && by_second > 0, "{by_first} and {by_second}");
    assert!(asked.iter().all(|run| run["attempt_count"] == 1), "none was tried twice");
    assert_eq!(vendors.stats().all.calls, 120);
}

#[tokio::test]
async fn a_canary_gets_its_share_and_a_rollback_ends_it() {
    let (host, main) = with_adjustable(&[]).await;
    let canary = install(&host, &[("version", "1.1.0")]).await;
    let path = format!("{ADJUSTABLE}/canary");
    host.post(&path, json!({"digest": canary, "weight": 0.0})).await.expect(422);
    let tried = host.post(&path, json!({"digest": canary, "weight": 0.3})).await.expect(200);
    assert_eq!((&tried["slot"], &tried["weight"]), (&json!("canary"), &json!(0.3)));
    let asked = ask(&host, 60, "2026-01-01T00:00:00Z").await;
    let picked = shares(&asked, &canary);
    assert!((6..=32).contains(&picked), "{picked} of 60 are far from 30 %");
    assert_eq!(shares(&asked, &main), 60 - picked);

    let back = host.post(&format!("{ADJUSTABLE}/rollback"), json!({})).await.expect(200);
    assert_eq!((&back["slot"], back.get("digest")), (&json!("canary"), None));
    let asked = ask(&host, 0, "2026-01-02T00:00:00Z").await;
    assert_eq!(shares(&asked, &main), 60);
}

#[tokio::test]
async fn a_pin_is_for_one_workspace_alone() {
    let (host, main) = with_adjustable(&[]).await;
    let pinned = install(&host, &[("version", "0.9.0")]).await;
    let other = host.other_workspace().await;
    other.put("/v1/engines/adjustable", json!({})).await.expect(200);
    let pin = json!({"digest": pinned, "workspace_id": other.workspace.id});
    let pin = host.post(&format!("{ADJUSTABLE}/activate"), pin).await.expect(200);
    assert_eq!(pin["workspace_id"], other.workspace.id.to_string());
    assert_eq!(shares(&ask(&host, 2, "2026-01-01T00:00:00Z").await, &main), 2);
    assert_eq!(shares(&ask(&other, 2, "2026-01-01T00:00:00Z").await, &pinned), 2);
    let unpin = json!({"workspace_id": other.workspace.id});
    host.post(&format!("{ADJUSTABLE}/disable"), unpin).await.expect(200);
    assert_eq!(shares(&ask(&other, 0, "2026-01-02T00:00:00Z").await, &main), 2);
}

#[tokio::test]
async fn rollbacks_go_further_back_each_time() {
    let (host, first) = with_adjustable(&[]).await;
    let second = install(&host, &[("version", "1.1.0")]).await;
    let third = install(&host, &[("version", "1.2.0")]).await;
    swap(&host, &second).await;
    swap(&host, &third).await;
    let path = format!("{ADJUSTABLE}/rollback");
    let reason = json!({"reason": "wrong numbers"});
    assert_eq!(host.post(&path, reason.clone()).await.expect(200)["digest"], second);
    assert_eq!(host.post(&path, reason.clone()).await.expect(200)["digest"], first);
    let end = host.post(&path, reason).await.expect(409);
    assert!(end["detail"].as_str().unwrap().contains("no earlier component"));
    assert_eq!(shares(&ask(&host, 1, "2026-01-01T00:00:00Z").await, &first), 1);
    swap(&host, &third).await;
    assert_eq!(host.post(&path, json!({})).await.expect(200)["digest"], first);
}

#[tokio::test]
async fn a_canary_that_traps_is_quarantined_and_costs_no_run() {
    let (host, main) = with_adjustable(&[]).await;
    let broken = install(&host, &[("version", "1.1.0"), ("behave", "trap")]).await;
    let canary = json!({"digest": broken, "weight": 1});
    host.post(&format!("{ADJUSTABLE}/canary"), canary.clone()).await.expect(200);
    let asked = ask(&host, 12, "2026-01-01T00:00:00Z").await;
    assert_eq!(shares(&asked, &main), 12);
    // The clock of the test went on by the pause before the second try.
    let concerned = host.app.registry.guard().await.unwrap();
    let told = actions(&host).await;
    assert!(
        told.contains(&"provider.quarantine".to_owned()) || concerned == ["adjustable"],
        "{told:?}"
    );
    assert!(actions(&host).await.contains(&"provider.quarantine".to_owned()));

    let found = host.get(ADJUSTABLE).await.expect(200);
    assert_eq!(found["slots"].as_array().unwrap().len(), 1, "{:#}", found["slots"]);
    let components = found["components"].as_array().unwrap();
    let quarantined = components.iter().find(|found| found["digest"] == broken).unwrap();
    assert!(quarantined["quarantine"].as_str().unwrap().contains("in a row"));
    assert!(quarantined["calls"]["guest_failures"].as_i64().unwrap() >= 5);
    let refused = host.post(&format!("{ADJUSTABLE}/canary"), canary).await.expect(409);
    assert!(refused["detail"].as_str().unwrap().contains("quarantined"));

    let run = asked[0]["id"].as_str().unwrap();
    let logs = host.get(format!("{ADJUSTABLE}/logs?run={run}")).await.expect(200);
    let entry = &logs["data"][0];
    assert_eq!((&entry["blame"], &entry["class"]), (&json!("guest"), &json!("trap")));
    assert_eq!(entry["lines"][0]["message"], "about to trap");
    assert!(entry["stderr"].as_str().unwrap().contains("panicked"), "{entry:#}");
    assert!(!entry["backtrace"].as_array().unwrap().is_empty());
    let of_main = host.get(format!("{ADJUSTABLE}/logs?digest={main}")).await.expect(200);
    assert_eq!(of_main["data"], json!([]));
}

#[tokio::test]
async fn a_canary_that_fails_more_often_than_the_main_one_is_quarantined() {
    let (host, main) = with_adjustable(&[]).await;
    let tried = install(&host, &[("version", "1.1.0")]).await;
    let canary = json!({"digest": tried, "weight": 0.2});
    host.post(&format!("{ADJUSTABLE}/canary"), canary).await.expect(200);
    let now = host.app.clock.now();
    let add = async |digest: &str, succeeded, suspect, host_failures| {
        let minute = provider_calls::CallMinute {
            digest: hex::decode(digest).unwrap(),
            minute: now,
            succeeded,
            vendor: suspect,
            suspect,
            host: host_failures,
            sound_at: Some(now),
            ..Default::default()
        };
        let mut tx = host.app.store.begin().await.unwrap();
        provider_calls::add(&mut tx, &[minute], &[]).await.unwrap();
        tx.commit().await.unwrap();
    };
    add(&main, 100, 0, 0).await;
    add(&tried, 11, 8, 50).await;
    assert!(host.app.registry.guard().await.unwrap().is_empty(), "19 calls are too few");
    add(&tried, 1, 0, 0).await;
    assert_eq!(host.app.registry.guard().await.unwrap(), ["adjustable"]);
    let found = host.get(ADJUSTABLE).await.expect(200);
    assert_eq!(found["slots"].as_array().unwrap().len(), 1, "{:#}", found["slots"]);
    let components = found["components"].as_array().unwrap();
    let quarantined = components.iter().find(|found| found["digest"] == tried).unwrap();
    let why = quarantined["quarantine"].as_str().unwrap();
    assert!(why.contains("8 of 20") && why.contains("0 of 100"), "{why}");
    assert!(host.app.registry.guard().await.unwrap().is_empty(), "it is out already");
}

#[tokio::test]
async fn what_everybody_gets_goes_back_when_it_fails_and_one_bad_run_is_not_enough() {
    let (host, good) = with_adjustable(&[]).await;
    let broken = install(&host, &[("version", "1.1.0"), ("behave", "trap")]).await;
    swap(&host, &broken).await;
    let asked = ask(&host, 1, "2026-01-01T00:00:00Z").await;
    assert_eq!(asked[0]["state"], "failed");
    host.app.clock.advance(TimeDelta::seconds(5));
    assert!(host.app.registry.guard().await.unwrap().is_empty(), "one run is not enough");
    let asked = ask(&host, 6, "2026-01-01T01:00:00Z").await;
    assert_eq!(asked.len(), 7);
    host.app.clock.advance(TimeDelta::seconds(5));
    host.app.registry.guard().await.unwrap();
    let found = host.get(ADJUSTABLE).await.expect(200);
    assert_eq!(found["slots"][0]["digest"], good, "{:#}", found["history"]);
    let generation = found["generation"].clone();
    assert!(host.app.registry.guard().await.unwrap().is_empty(), "it is out already");
    let again = host.get(ADJUSTABLE).await.expect(200);
    assert_eq!(again["generation"], generation, "what changes nothing is no change");
    assert_eq!(found["slots"][0]["activated_by"], "system:guard");
    assert_eq!(shares(&ask(&host, 0, "2026-01-02T00:00:00Z").await, &good), 7);
}

/// A worker process on the host's database, without its loops.
async fn worker(host: &Host) -> (App, Presence) {
    let app = host.other_process().await;
    let presence = Presence::new(ProcessRole::Worker, 4, app.clock.now());
    presence.beat(&app.store, &app.clock).await.unwrap();
    (app, presence)
}

/// Wants a component in service, like the command line, and waits for nobody.
async fn want(app: &App, digest: &str) -> Activation {
    let wish = Wish::main("adjustable", hex::decode(digest).unwrap());
    let actor = Actor { workspace: None, name: "cli:test".into(), request_id: None };
    let (policy, now) = (app.registry.place().signatures, app.clock.now());
    let mut tx = app.store.begin().await.unwrap();
    let activation = activate::activate(&mut tx, policy, wish, &actor, now).await.unwrap();
    tx.commit().await.unwrap();
    activation
}

fn serving(app: &App) -> String {
    app.providers.find("adjustable").unwrap().digest.to_string()
}

#[tokio::test]
async fn an_activation_waits_for_every_worker_and_a_rollback_for_none() {
    let (host, first) = with_adjustable(&[]).await;
    let (one, first_presence) = worker(&host).await;
    let (two, second_presence) = worker(&host).await;
    let ids = (first_presence.id(), second_presence.id());
    one.registry.catch_up(ids.0, None).await.unwrap();
    two.registry.catch_up(ids.1, None).await.unwrap();
    let second = install(&host, &[("version", "1.1.0")]).await;
    let activation = want(&one, &second).await;
    assert_eq!(activation.state, "preparing");
    one.registry.catch_up(ids.0, None).await.unwrap();
    assert_eq!(serving(&one), first, "the other worker has said nothing yet");
    two.registry.catch_up(ids.1, None).await.unwrap();
    assert_eq!(serving(&two), second);
    // The first one heard nothing of that and looks by itself.
    one.registry.catch_up(ids.0, None).await.unwrap();
    assert_eq!(serving(&one), second);
    let mut conn = one.store.read().await.unwrap();
    assert_eq!(activations::find(&mut conn, activation.id).await.unwrap().state, "active");
    drop(conn);

    let back = host.post(&format!("{ADJUSTABLE}/rollback"), json!({})).await.expect(200);
    assert_eq!((&back["state"], &back["digest"]), (&json!("active"), &json!(first)));
    for (app, id) in [(&one, ids.0), (&two, ids.1)] {
        app.registry.catch_up(id, None).await.unwrap();
        assert_eq!(serving(app), first);
    }
    let found = host.get(ADJUSTABLE).await.expect(200);
    let generation = &found["generation"];
    let processes = found["processes"].as_array().unwrap();
    assert_eq!(processes.len(), 2);
    assert!(processes.iter().all(|process| process["generation"] == *generation), "{found:#}");
}

#[tokio::test]
async fn a_component_that_was_altered_in_the_database_is_in_service_nowhere() {
    let (host, first) = with_adjustable(&[]).await;
    let second = install(&host, &[("version", "1.1.0")]).await;
    let (worker, presence) = worker(&host).await;
    worker.registry.catch_up(presence.id(), None).await.unwrap();
    let (altered, _) = adjustable(&[("version", "6.6.6")]);
    alter_component(&worker.store, &second, &altered).await;
    host.app.runtime.forget(&second.parse().unwrap());
    let activation = want(&worker, &second).await;
    worker.registry.catch_up(presence.id(), None).await.unwrap();
    let mut conn = worker.store.read().await.unwrap();
    let settled = activations::find(&mut conn, activation.id).await.unwrap();
    assert_eq!(settled.state, "refused");
    assert!(settled.detail.unwrap().contains("altered"));
    assert_eq!(serving(&worker), first);
}

#[tokio::test]
async fn the_watched_folder_is_what_is_in_service() {
    let files = tempfile::tempdir().unwrap();
    let place = files.path().to_owned();
    let host = Host::start_set(|config| config.providers.plugin_dir = place).await;
    let host = host.operator().await;
    let registry = &host.app.registry;
    let mut folder = Folder::default();
    registry.look(&mut folder).await.unwrap();
    assert!(host.app.providers.list().is_empty());

    let (old, old_digest) = adjustable(&[]);
    let (new, new_digest) = adjustable(&[("version", "1.1.0")]);
    std::fs::write(files.path().join("adjustable.wasm"), &old).unwrap();
    registry.look(&mut folder).await.unwrap();
    assert_eq!(serving(&host.app), old_digest);
    std::fs::write(files.path().join("other.wasm"), &new).unwrap();
    registry.look(&mut folder).await.unwrap();
    assert_eq!(serving(&host.app), new_digest);
    std::fs::write(files.path().join("broken.wasm"), &new[..1000]).unwrap();
    registry.look(&mut folder).await.unwrap();
    assert_eq!(serving(&host.app), new_digest);
    std::fs::remove_file(files.path().join("other.wasm")).unwrap();
    registry.look(&mut folder).await.unwrap();
    assert_eq!(serving(&host.app), old_digest, "the one before returns");
    std::fs::remove_file(files.path().join("adjustable.wasm")).unwrap();
    registry.look(&mut folder).await.unwrap();
    assert!(host.app.providers.find("adjustable").is_none());
}
