//! A project for a new provider, with all that it needs.
//!
//! The templates are whole providers called `acme` below `sdk/templates`; the SDK of the language
//! and the interface are written beside them, so that a project depends on no checkout.

use super::{
    super::{note, print},
    project::Language,
};
use anyhow::{Context, ensure};
use rust_embed::RustEmbed;
use serde_json::json;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

#[derive(RustEmbed)]
#[folder = "../sdk/templates"]
struct Templates;

#[derive(RustEmbed)]
#[folder = "../sdk/src"]
struct RustSdk;

#[derive(RustEmbed)]
#[folder = "../sdk/js"]
struct JsSdk;

#[derive(RustEmbed)]
#[folder = "../sdk/python"]
struct PythonSdk;

#[derive(RustEmbed)]
#[folder = "../sdk/go"]
struct GoSdk;

#[derive(RustEmbed)]
#[folder = "../wit/provider-0.1"]
struct Wit;

/// The versions that the first-party providers are built with.
const CARGO_LOCK: &str = include_str!("../../../../plugins/Cargo.lock");
const RUST_README: &str = include_str!("../../../../sdk/README.md");

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct New {
    /// Key of the provider, such as `acme`.
    #[arg(value_parser = key)]
    name: String,
    #[arg(long)]
    lang: Language,
    /// Where to write it; a folder of the same name by default.
    #[arg(long)]
    dir: Option<PathBuf>,
}

fn key(text: &str) -> Result<String, String> {
    if aiv_runtime::is_slug(text) {
        return Ok(text.to_owned());
    }
    Err("a key is in lower case and begins with a letter: [a-z][a-z0-9-]*".into())
}

impl New {
    pub(super) fn run(self, json: bool) -> anyhow::Result<ExitCode> {
        let Self { name, lang, dir } = self;
        let folder = dir.unwrap_or_else(|| name.clone().into());
        let is_free = fs::read_dir(&folder).map_or(true, |mut entries| entries.next().is_none());
        ensure!(is_free, "{} is there and not empty: choose another --dir", folder.display());
        let files = files(&name, lang)?;
        for (path, content) in &files {
            let path = folder.join(path);
            let parent = path.parent().unwrap_or(Path::new("."));
            fs::create_dir_all(parent).with_context(|| format!("create {}", parent.display()))?;
            fs::write(&path, content).with_context(|| format!("write {}", path.display()))?;
        }
        if json {
            print(json!({ "folder": folder, "provider": name, "files": files.len() }))?;
        } else {
            print(format_args!("{name} is in {}", folder.display()))?;
            note(format_args!("Next: cd {}, aiv plugin build, aiv plugin test.", folder.display()));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A project's files by path.
type Files = BTreeMap<String, Vec<u8>>;

fn files(name: &str, language: Language) -> anyhow::Result<Files> {
    let (folder, unit_tests) = match language {
        Language::Rust => ("rust/", "cargo test"),
        Language::Js => ("js/", "npm test"),
        Language::Python => (
            "python/",
            "componentize-py -d aiv-sdk/wit/provider-0.1 -w provider bindings bindings\n\
             PYTHONPATH=.:aiv-sdk:bindings python3 -m unittest discover -s tests",
        ),
        Language::Go => ("go/", "go test ."),
    };
    let mut files = Files::new();
    copy::<Templates>(folder, "", &mut files);
    copy::<Templates>("cases/", "cases/", &mut files);
    copy::<Templates>("README.md", "README.md", &mut files);
    copy::<Templates>("gitignore", ".gitignore", &mut files);
    let sdk_manifest = files.remove("sdk.toml");
    for content in files.values_mut() {
        let text = std::str::from_utf8(content).context("read a template")?;
        *content = called(name, text)
            .replace("{unit-tests}", unit_tests)
            .replace("{version}", env!("CARGO_PKG_VERSION"))
            .into_bytes();
    }
    copy::<Wit>("", "aiv-sdk/wit/provider-0.1/", &mut files);
    match language {
        Language::Rust => {
            copy::<RustSdk>("", "aiv-sdk/src/", &mut files);
            let manifest = sdk_manifest.context("the manifest of the SDK is missing")?;
            files.insert("aiv-sdk/Cargo.toml".into(), manifest);
            files.insert("aiv-sdk/README.md".into(), RUST_README.into());
            files.insert("Cargo.lock".into(), CARGO_LOCK.into());
        }
        Language::Js => {
            copy::<JsSdk>("src/", "aiv-sdk/", &mut files);
            copy::<JsSdk>("types/", "aiv-sdk/types/", &mut files);
            copy::<JsSdk>("README.md", "aiv-sdk/README.md", &mut files);
        }
        Language::Python => {
            copy::<PythonSdk>("aiv_sdk/", "aiv-sdk/aiv_sdk/", &mut files);
            copy::<PythonSdk>("README.md", "aiv-sdk/README.md", &mut files);
        }
        Language::Go => {
            for folder in ["aiv/", "wit/", "pkg/"] {
                copy::<GoSdk>(folder, &format!("aiv-sdk/{folder}"), &mut files);
            }
            for file in ["README.md", "go.mod", "preview1.wat"] {
                copy::<GoSdk>(file, &format!("aiv-sdk/{file}"), &mut files);
            }
        }
    }
    Ok(files)
}

/// Takes the embedded files whose path begins with `from`.
fn copy<E: RustEmbed>(from: &str, to: &str, files: &mut Files) {
    for path in E::iter() {
        let is_made = path.contains("__pycache__/");
        if let Some(rest) = path.strip_prefix(from)
            && !is_made
            && let Some(file) = E::get(&path)
        {
            files.insert(format!("{to}{rest}"), file.data.into_owned());
        }
    }
}

/// A template's text for a provider that is not called `acme`.
fn called(name: &str, text: &str) -> String {
    let class: String = name.split('-').map(capitalised).collect();
    let variable = name.replace('-', "_").to_ascii_uppercase();
    text.replace("acme", name).replace("Acme", &class).replace("ACME", &variable)
}

fn capitalised(word: &str) -> String {
    let mut word = word.to_owned();
    if let Some(first) = word.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_has_its_name_in_every_spelling_and_all_of_the_sdk() {
        for language in Language::ALL {
            let files = files("my-engine2", language).unwrap();
            assert!(files.contains_key(language.mark()), "{language:?}");
            for path in ["README.md", ".gitignore", "cases/answer/case.json", "aiv-sdk/README.md"] {
                assert!(files.contains_key(path), "{language:?} {path}");
            }
            assert!(files.contains_key("aiv-sdk/wit/provider-0.1/provider.wit"), "{language:?}");
            let own = files.iter().filter(|(path, _)| !path.starts_with("aiv-sdk/"));
            let text: String = own.map(|(_, content)| String::from_utf8_lossy(content)).collect();
            assert!(!text.to_lowercase().contains("acme"), "{language:?}");
            for part in ["api.my-engine2.example", "MY_ENGINE2_API_KEY", "MyEngine2"] {
                assert!(text.contains(part), "{language:?} {part}");
            }
        }
    }
}
