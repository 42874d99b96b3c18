//! What can be known about a component without running it.

use semver::Version;
use wasmparser::{Encoding, Parser, Payload, Validator, WasmFeatures};
use wasmtime::Engine;

use crate::error::LoadError;
use crate::{abi, wasi};

/// What a component says about itself in its sections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Version of the engine interface it exports.
    pub(crate) wit_version: Version,
    pub(crate) imports: Vec<String>,
}

/// Whether these bytes are a provider this host can run, down to the last instruction.
pub(crate) fn validate(wasm: &[u8], max_bytes: usize, engine: &Engine) -> Result<Shape, LoadError> {
    check_kind(wasm, max_bytes)?;
    let features = engine.get_wasm_features();
    if let Err(error) = Validator::new_with_features(features).validate_all(wasm) {
        return Err(explain(wasm, features, &error));
    }
    shape(wasm)
}

/// The cheap part: size and kind. Enough where the digest proves that the rest was checked before.
pub(crate) fn check_kind(wasm: &[u8], max_bytes: usize) -> Result<(), LoadError> {
    if wasm.len() > max_bytes {
        return Err(LoadError::TooLarge { size: wasm.len(), limit: max_bytes });
    }
    if Engine::detect_precompiled(wasm).is_some() {
        return Err(LoadError::Precompiled);
    }
    if !wasm.starts_with(b"\0asm") {
        let first = wasm.iter().find(|byte| !byte.is_ascii_whitespace());
        return Err(match first {
            Some(b'(' | b';') => LoadError::Text,
            _ => LoadError::NotWasm,
        });
    }
    if Parser::is_core_wasm(wasm) { Err(LoadError::CoreModule) } else { Ok(()) }
}

/// Imports and the exported engine, against what is allowed.
pub(crate) fn shape(wasm: &[u8]) -> Result<Shape, LoadError> {
    let (imports, exports) = names(wasm).map_err(|error| LoadError::Invalid(error.to_string()))?;
    for import in &imports {
        check_import(import)?;
    }
    let versions = exports.iter().filter_map(|name| version_of(name, abi::ENGINE));
    match versions.into_iter().next() {
        Some(version) => {
            let wit_version = supported(abi::ENGINE, version)?;
            Ok(Shape { wit_version, imports })
        }
        None => Err(LoadError::NoEngine { exports }),
    }
}

/// Names of the outermost component's imports and exports.
fn names(wasm: &[u8]) -> wasmparser::Result<(Vec<String>, Vec<String>)> {
    let (mut imports, mut exports) = (Vec::new(), Vec::new());
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::Version { encoding: Encoding::Component | Encoding::Module, .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(section) if depth == 1 => {
                for import in section {
                    imports.push(import?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                for export in section {
                    exports.push(export?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok((imports, exports))
}

fn check_import(import: &str) -> Result<(), LoadError> {
    let forbidden = |reason| Err(LoadError::ForbiddenImport { import: import.to_owned(), reason });
    let (name, version) = import.split_once('@').unwrap_or((import, ""));
    let package = name.split_once('/').map_or(name, |(package, _)| package);
    if abi::IMPORTS.contains(&name) {
        return supported(name, version).map(|_| ());
    }
    match package {
        "wasi:sockets" | "wasi:http" => forbidden(
            "a provider does no input or output of its own: return `fetch` with the request, \
             the host sends it and resumes the provider with the response",
        ),
        "aiv:provider" => forbidden("this host has no such interface"),
        _ if !wasi::ALLOWED.contains(&package) => forbidden(
            "only aiv:provider and inert WASI (io, cli, clocks, random, filesystem) are allowed",
        ),
        _ if version.starts_with("0.2.") => Ok(()),
        _ if version.starts_with("0.3.") => Err(LoadError::Async(format!("it imports {import}"))),
        _ => forbidden("only WASI 0.2 is supported: build for the target wasm32-wasip2"),
    }
}

/// The version in `name@version`.
fn version_of<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    match text.strip_prefix(name)? {
        "" => Some(""),
        rest => rest.strip_prefix('@'),
    }
}

fn supported(name: &str, version: &str) -> Result<Version, LoadError> {
    match Version::parse(version) {
        Ok(version) if abi::supports(&version) => Ok(version),
        _ => Err(LoadError::UnsupportedVersion {
            name: name.to_owned(),
            found: if version.is_empty() { "no version".to_owned() } else { version.to_owned() },
        }),
    }
}

/// Tells an asynchronous component from a broken one.
fn explain(
    wasm: &[u8],
    features: WasmFeatures,
    error: &wasmparser::BinaryReaderError,
) -> LoadError {
    let with_async = features
        | WasmFeatures::CM_ASYNC
        | WasmFeatures::CM_ASYNC_STACKFUL
        | WasmFeatures::CM_MORE_ASYNC_BUILTINS;
    match Validator::new_with_features(with_async).validate_all(wasm) {
        Ok(_) => LoadError::Async(error.message().to_owned()),
        Err(_) => LoadError::Invalid(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(import: &str) -> String {
        check_import(import).map_or_else(|error| error.to_string(), |()| "allowed".to_owned())
    }

    #[test]
    fn imports_are_allowed_by_name_and_version() {
        for import in [
            "wasi:io/streams@0.2.6",
            "wasi:cli/stderr@0.2.0",
            "wasi:filesystem/preopens@0.2.3",
            "aiv:provider/log@0.1.0",
            "aiv:provider/types@0.1.7",
        ] {
            assert_eq!(refusal(import), "allowed", "{import}");
        }
    }

    #[test]
    fn imports_are_refused_with_a_way_out() {
        for (import, says) in [
            ("wasi:sockets/tcp@0.2.0", "return `fetch`"),
            ("wasi:http/outgoing-handler@0.2.0", "return `fetch`"),
            ("wasi:cli/stdout@0.3.0", "--sync"),
            ("wasi:keyvalue/store@0.2.0", "inert WASI"),
            ("env", "inert WASI"),
            ("wasi:cli/stdout", "wasm32-wasip2"),
            ("aiv:provider/log@0.2.0", "0.1"),
            ("aiv:provider/disk@0.1.0", "no such interface"),
        ] {
            assert!(refusal(import).contains(says), "{import}: {}", refusal(import));
        }
    }

    #[test]
    fn kinds_of_files_are_told_apart() {
        let kind = |bytes: &[u8]| check_kind(bytes, 100).err().map(|error| error.to_string());
        assert!(kind(b"  (component)").is_some_and(|e| e.contains("text")));
        assert!(kind(b"MZ\x90").is_some_and(|e| e.contains("not WebAssembly")));
        assert!(kind(b"").is_some_and(|e| e.contains("not WebAssembly")));
        assert!(kind(b"\0asm\x01\0\0\0").is_some_and(|e| e.contains("wasm32-wasip2")));
        assert!(kind(&[0; 101]).is_some_and(|e| e.contains("101 bytes")));
        assert_eq!(kind(b"\0asm\x0d\0\x01\0"), None);
    }
}
