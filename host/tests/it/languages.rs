//! One example provider in every language of the SDK, against the same cases.

use crate::driver::{built, component};
use aiv::providers::cases;
use aiv_runtime::{Plugin, types::Manifest};
use std::{fmt::Write, path::Path};

const GO: &str = "target/sdk/echo-go.wasm";
const JAVASCRIPT: &str = "target/sdk/echo-js.wasm";
const PYTHON: &str = "target/sdk/echo-python.wasm";
const RUST: &str = "target/sdk/echo-rust.wasm";

/// Runs every case of the example; the manifest it has.
async fn check(plugin: &Plugin) -> Manifest {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk/examples/cases");
    let mut text = String::new();
    let all = cases::load(&folder).unwrap();
    assert!(all.len() >= 10, "only {} cases were found", all.len());
    for case in &all {
        let report = cases::run(plugin, case).await.unwrap();
        for note in report.notes {
            let _ = writeln!(text, "{}\n{note}", report.name);
        }
        if let Some(difference) = report.difference {
            let _ = writeln!(text, "{}\n{difference}", report.name);
        }
    }
    assert!(text.is_empty(), "{text}");
    plugin.manifest().clone()
}

/// Another language says and does the same as Rust.
async fn agrees(file: &str) {
    let Some(plugin) = built(file).await else { return };
    let rust = built(RUST).await.expect("Rust is always there");
    let manifest = |plugin: &Manifest| {
        let schema: serde_json::Value = serde_json::from_str(&plugin.config_schema).unwrap();
        // Serialisers differ in where they put spaces.
        Manifest { config_schema: schema.to_string(), ..plugin.clone() }
    };
    assert_eq!(manifest(&check(&plugin).await), manifest(rust.manifest()));
    assert_eq!(plugin.wit_version(), rust.wit_version());
}

#[tokio::test]
async fn rust_passes_the_cases() {
    let plugin = built(RUST).await.expect("Rust is always there");
    assert_eq!(check(&plugin).await.key, "echo");
}

#[tokio::test]
async fn javascript_passes_the_cases() {
    agrees(JAVASCRIPT).await;
}

#[tokio::test]
async fn python_passes_the_cases() {
    agrees(PYTHON).await;
}

#[tokio::test]
async fn go_passes_the_cases() {
    agrees(GO).await;
}

/// Components of the first release of an interface have to run for as long as it is supported.
#[tokio::test]
async fn components_of_released_interfaces_pass_the_cases() {
    for language in ["rust", "js"] {
        let file = format!("host/runtime/tests/golden/provider-0.1/echo-{language}.wasm");
        let plugin = built(&file).await.expect("it is part of the repository");
        check(&plugin).await;
    }
}

/// The cases tell providers apart: another one does not pass them by accident.
#[tokio::test]
async fn another_provider_does_not_pass_the_cases() {
    let plugin = component("brave").await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk/examples/cases/answer");
    let case = &cases::load(&folder).unwrap()[0];
    assert!(cases::run(&plugin, case).await.is_err());
}
