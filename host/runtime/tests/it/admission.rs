//! What is let in, and what is said to the rest.

use aiv_runtime::{Blame, Class, Digest, LoadError, RuntimeConfig};

use crate::support::{guest, runtime};

/// Why the bytes are refused.
async fn refusal(wasm: &[u8]) -> LoadError {
    let (runtime, _dir) = runtime();
    let admitted = runtime.admit(wasm).await.expect_err("is admitted");
    // Loading is no way around admission.
    let loaded = runtime.load(wasm).await.expect_err("is loaded");
    assert_eq!(admitted.to_string(), loaded.to_string());
    assert_eq!(admitted.blame(), Blame::Guest);
    admitted
}

fn replace(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = bytes.to_vec();
    let at: Vec<usize> = bytes
        .windows(from.len())
        .enumerate()
        .filter_map(|(at, window)| (window == from.as_bytes()).then_some(at))
        .collect();
    assert!(!at.is_empty(), "{from} is not there");
    for at in at {
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
    bytes
}

#[tokio::test]
async fn a_sound_component_is_admitted() {
    let (runtime, _dir) = runtime();
    let wasm = guest("hostile");
    let admission = runtime.admit(&wasm).await.unwrap();
    assert_eq!(admission.digest, Digest::of(&wasm));
    assert_eq!(admission.size, wasm.len());
    assert_eq!(admission.wit_version, "0.1.0");
    assert_eq!(admission.manifest.key, "hostile");
    assert_eq!(admission.manifest.surfaces[0].id, "hostile-web");
    assert!(!admission.pure);
    assert!(admission.imports.iter().any(|name| name.starts_with("wasi:cli/stderr@0.2")));
    assert!(runtime.loaded(&admission.digest).is_none());
    let plugin = runtime.load(&wasm).await.unwrap();
    assert_eq!(*plugin.manifest(), admission.manifest);
    assert!(runtime.loaded(&admission.digest).is_some());
    runtime.forget(&admission.digest);
    assert!(runtime.loaded(&admission.digest).is_none());
}

#[tokio::test]
async fn bytes_of_other_kinds_are_told_apart() {
    assert!(matches!(refusal(b"garbage").await, LoadError::NotWasm));
    assert!(matches!(refusal(b"").await, LoadError::NotWasm));
    assert!(matches!(refusal(b"(component)").await, LoadError::Text));
    let core = refusal(b"\0asm\x01\0\0\0").await;
    assert!(matches!(core, LoadError::CoreModule));
    assert!(core.to_string().contains("wasm32-wasip2"), "{core}");
}

#[tokio::test]
async fn broken_components_are_invalid() {
    let wasm = guest("hostile");
    for cut in [9, 100, wasm.len() / 2, wasm.len() - 1] {
        let error = refusal(&wasm[..cut]).await;
        assert!(matches!(error, LoadError::Invalid(_)), "{cut}: {error}");
    }
    let mut scrambled = wasm;
    for byte in scrambled.iter_mut().skip(4_000).step_by(7).take(1_000) {
        *byte ^= 0x55;
    }
    assert!(matches!(refusal(&scrambled).await, LoadError::Invalid(_)));
}

#[tokio::test]
async fn precompiled_code_is_refused() {
    let (runtime, _dir) = runtime();
    let plugin = runtime.load(&guest("hostile")).await.unwrap();
    let code = std::fs::read(runtime.code_path(plugin.digest())).unwrap();
    let error = refusal(&code).await;
    assert!(matches!(error, LoadError::Precompiled), "{error}");
}

#[tokio::test]
async fn a_component_that_is_no_provider_says_what_it_exports() {
    let error = refusal(b"\0asm\x0d\0\x01\0").await;
    assert!(matches!(error, LoadError::NoEngine { .. }), "{error}");
    assert!(error.to_string().contains("exports nothing"), "{error}");
}

#[tokio::test]
async fn another_version_of_the_interface_is_named() {
    let wasm = guest("hostile");
    // What a component exports, and what it imports.
    for interface in ["engine", "types"] {
        let name = format!("aiv:provider/{interface}@0.1.0");
        let newer = replace(&wasm, &name, &name.replace("0.1.0", "0.9.0"));
        let error = refusal(&newer).await;
        assert!(matches!(error, LoadError::UnsupportedVersion { .. }), "{error}");
        let error = error.to_string();
        let built_for = format!("built for aiv:provider/{interface}@0.9.0");
        for part in
            [built_for.as_str(), "supports aiv:provider@0.1", "the SDK for aiv:provider@0.1"]
        {
            assert!(error.contains(part), "{part} is not in: {error}");
        }
    }
}

#[tokio::test]
async fn sockets_are_refused_with_the_way_out() {
    let error = refusal(&guest("sockets")).await;
    assert!(matches!(error, LoadError::ForbiddenImport { .. }), "{error}");
    let error = error.to_string();
    assert!(error.contains("wasi:sockets/") && error.contains("return `fetch`"), "{error}");
}

#[tokio::test]
async fn asynchronous_components_are_told_to_rebuild() {
    // A component with nothing but the type `async func()`.
    let error = refusal(b"\0asm\x0d\0\x01\0\x07\x05\x01\x43\0\x01\0").await;
    assert!(matches!(error, LoadError::Async(_)), "{error}");
    assert!(error.to_string().contains("--sync"), "{error}");
}

#[tokio::test]
async fn records_of_another_shape_are_found_out() {
    let error = refusal(&guest("wrong_shape")).await;
    let LoadError::Probe(error) = error else { panic!("{error}") };
    assert_eq!((error.class, error.blame), (Class::Abi, Blame::Guest), "{error}");
}

#[tokio::test]
async fn every_problem_of_a_manifest_is_listed() {
    let error = refusal(&guest("bad_manifest")).await;
    let LoadError::Manifest(problems) = &error else { panic!("{error}") };
    let at: Vec<&str> = problems.iter().map(|problem| problem.at.as_str()).collect();
    for place in [
        "key",
        "display_name",
        "version",
        "allowed_hosts[0]",
        "allowed_hosts[1]",
        "credentials[0].hosts",
        "config_schema",
        "surfaces",
    ] {
        assert!(at.contains(&place), "{place} is missing in {at:?}");
    }
    assert_eq!(at.len(), 8);
}

#[tokio::test]
async fn size_is_capped() {
    let dir = tempfile::TempDir::new().unwrap();
    let config = RuntimeConfig { max_component_bytes: 1_000, ..RuntimeConfig::new(dir.path()) };
    let runtime = aiv_runtime::Runtime::new(config).unwrap();
    let error = runtime.admit(&guest("hostile")).await.unwrap_err();
    assert!(matches!(error, LoadError::TooLarge { limit: 1_000, .. }), "{error}");
}
