//! The `aiv` command as somebody at a terminal meets it.

use crate::support::{
    database_url, plugin_dir,
    process::{Server, aiv, json, text},
};

#[test]
fn the_demo_prints_the_same_numbers_each_time() {
    let files = tempfile::tempdir().unwrap();
    let demo = || json(aiv(files.path()).args(["demo", "--exit", "--json"]));
    let first = demo();
    assert_eq!(first["synthetic"], true);
    assert!(first["brands"].as_array().unwrap().len() >= 3);
    for brand in first["brands"].as_array().unwrap() {
        let engines = brand["engines"].as_object().unwrap();
        assert_eq!(engines.len(), 3);
        for rates in engines.values() {
            let rate = &rates["mention_rate"];
            let [low, value, high] = ["low", "value", "high"].map(|k| rate[k].as_f64().unwrap());
            assert!(low <= value && value <= high, "{rate}");
            assert!(rate["answers"].as_u64().unwrap() > 0);
        }
    }
    assert_eq!(first, demo());
}

#[test]
fn the_readme_shows_what_the_demo_prints() {
    let files = tempfile::tempdir().unwrap();
    let output = aiv(files.path()).args(["demo", "--exit"]).output().unwrap();
    let readme = include_str!("../../../README.md");
    let shown = readme.split("<!-- demo -->").nth(1).unwrap().split("```").nth(1).unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(shown.trim(), printed.trim(), "paste what `aiv demo --exit` prints into README.md");
}

#[test]
fn an_unknown_engine_is_named_beside_those_there_are() {
    let files = tempfile::tempdir().unwrap();
    let output = aiv(files.path()).args(["ask", "best crm?", "--engine", "nope"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = text(&output);
    assert!(text.contains("\"nope\"") && text.contains("perplexity"), "{text}");
}

#[test]
fn a_missing_credential_names_the_variable_to_set() {
    let files = tempfile::tempdir().unwrap();
    for (engine, variable) in
        [("perplexity", "PERPLEXITY_API_KEY"), ("aio", "SERPAPI_KEY"), ("brave", "BRAVE_API_KEY")]
    {
        let output =
            aiv(files.path()).args(["ask", "best crm?", "--engine", engine]).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let text = text(&output);
        assert!(text.contains("auth") && text.contains(variable), "{text}");
    }
}

#[test]
fn an_answer_from_recordings_has_its_brands_marked() {
    let files = tempfile::tempdir().unwrap();
    let set = aiv::providers::replay::demo();
    let mut command = aiv(files.path());
    command.args(["ask", &set.prompts[0].text, "--engine", "perplexity", "--replay"]);
    for brand in std::iter::once(&set.brand).chain(&set.competitors) {
        command.args(["--brand", &brand.name]);
    }
    let output = command.output().unwrap();
    let text = text(&output);
    assert!(output.status.success(), "{text}");
    assert!(text.contains('»') && text.contains('$'), "{text}");
}

#[test]
fn doctor_names_what_is_missing_and_fails_without_components() {
    let files = tempfile::tempdir().unwrap();
    let checks = json(aiv(files.path()).args(["doctor", "--json"]));
    let named = |name: &str| {
        checks.as_array().unwrap().iter().find(|check| check["name"] == name).unwrap().clone()
    };
    assert_eq!(named("component brave")["verdict"], "warning");
    assert!(named("component brave")["detail"].as_str().unwrap().contains("BRAVE_API_KEY"));

    let output = aiv(files.path()).arg("doctor").env("PLUGIN_DIR", files.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
}

#[test]
fn a_key_is_made_for_the_first_workspace() {
    let files = tempfile::tempdir().unwrap();
    let made = json(aiv(files.path()).args(["key", "create", "--json"]));
    assert!(made["key"].as_str().unwrap().starts_with("avk_live_"));
    let again = json(aiv(files.path()).args(["key", "create", "--json"]));
    assert_eq!(made["workspace_id"], again["workspace_id"]);
    assert_ne!(made["key"], again["key"]);
}

#[test]
fn the_schema_is_brought_up_to_date_once() {
    let files = tempfile::tempdir().unwrap();
    let status = aiv(files.path()).args(["migrate", "--status"]).output().unwrap();
    assert_eq!(status.status.code(), Some(1), "an empty database is behind");
    let first = json(aiv(files.path()).args(["migrate", "--json"]));
    assert_eq!(first["applied"], first["known"]);
    assert_eq!(first, json(aiv(files.path()).args(["migrate", "--json"])));
}

#[tokio::test]
async fn the_walkthrough_of_the_readme_works_as_printed() {
    let files = tempfile::tempdir().unwrap();
    let database = database_url(files.path()).await;
    let mut create = aiv(files.path());
    create.args(["key", "create", "--admin", "--json"]);
    create
        .env("DATABASE_URL", &database)
        .env("AUTO_MIGRATE", "true")
        .env("PROVIDER_MODE", "replay");
    let key = json(&mut create)["key"].as_str().unwrap().to_owned();
    let server = Server::start(files.path(), &database).await;

    let readme = include_str!("../../../README.md");
    let block = readme.split("<!-- walkthrough -->").nth(1).unwrap();
    let script = block.split("```").nth(1).unwrap().strip_prefix("bash").unwrap();
    let output = std::process::Command::new("bash")
        .args(["-euo", "pipefail", "-c", script])
        .env("AIV_URL", &server.base)
        .env("AIV_KEY", key)
        .output()
        .unwrap();
    let text = text(&output);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("\"name\": \"Lumetask\"") && text.contains("cost_micros"), "{text}");
}

#[test]
fn a_broken_component_is_refused_with_the_reason() {
    let files = tempfile::tempdir().unwrap();
    let broken = files.path().join("broken.wasm");
    std::fs::write(&broken, b"this is no component").unwrap();
    let output = aiv(files.path()).args(["plugin", "check"]).arg(&broken).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("refused: this is not WebAssembly"), "{}", text(&output));
}

#[tokio::test]
async fn a_broken_component_keeps_no_other_from_service() {
    let files = tempfile::tempdir().unwrap();
    let folder = files.path().join("plugins");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("a-broken.wasm"), b"this is no component").unwrap();
    std::fs::copy(plugin_dir().join("brave.wasm"), folder.join("brave.wasm")).unwrap();
    let output = aiv(files.path())
        .args(["demo", "--exit", "--json"])
        .env("PLUGIN_DIR", &folder)
        .output()
        .unwrap();
    let text = text(&output);
    assert!(output.status.success() && text.contains("a-broken.wasm"), "{text}");
    let numbers: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(numbers["engines"].as_array().unwrap().len(), 1);
}
