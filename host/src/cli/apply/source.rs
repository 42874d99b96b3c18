//! The file that declares a workspace, and where in it something is wrong.

use super::{
    kinds::{KINDS, Kind, checkable, in_file},
    plan::Change,
    yaml::{self, Document},
};
use crate::{api, providers::api_client::Refusal};
use anyhow::bail;
use serde_json::Value;
use std::{
    collections::HashMap,
    fmt::Write as _,
    path::{Path, PathBuf},
};

/// A file that was read.
pub(super) struct Source {
    file: PathBuf,
    document: Document,
}

/// The only version of the format.
const VERSION: i64 = 1;

impl Source {
    pub(super) fn read(file: &Path, text: &str) -> anyhow::Result<Self> {
        let document =
            yaml::read(text).map_err(|error| anyhow::anyhow!("{}: {error}", file.display()))?;
        Ok(Source { file: file.to_owned(), document })
    }

    /// Whether the file has the list.
    pub(super) fn has(&self, kind: &Kind) -> bool {
        self.document.value.get(kind.section).is_some()
    }

    /// What the file declares of a kind.
    pub(super) fn items(&self, kind: &Kind) -> &[Value] {
        self.document.value[kind.section].as_array().map_or(&[], Vec::as_slice)
    }

    /// Refuses what cannot be right, all of it at once.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let mut broken = Vec::new();
        let mut tell = |pointer: &str, detail: &str| broken.push(self.place(pointer, detail));
        let Some(fields) = self.document.value.as_object() else {
            bail!(self.place("", "the file is a mapping of lists, with `version: 1`"));
        };
        if fields.get("version").and_then(Value::as_i64) != Some(VERSION) {
            tell("/version", "`version: 1` is required");
        }
        for (name, value) in fields {
            let known = KINDS.iter().any(|kind| kind.section == name);
            let pointer = format!("/{}", yaml::escape(name));
            if known && !value.is_array() {
                tell(&pointer, "is a list");
            } else if !known && name != "version" {
                let names: Vec<_> = KINDS.iter().map(|kind| kind.section).collect();
                tell(&pointer, &format!("is not known here; there are {}", names.join(", ")));
            }
        }
        for kind in KINDS.iter().filter(|kind| !self.items(kind).is_empty()) {
            let broken_rules = api::body_checker(kind.schema);
            let mut seen: HashMap<String, usize> = HashMap::new();
            for (index, item) in self.items(kind).iter().enumerate() {
                let at = format!("/{}/{index}", kind.section);
                match checkable(kind, item) {
                    Err((pointer, detail)) => tell(&format!("{at}{pointer}"), &detail),
                    Ok(body) => {
                        for broken in broken_rules(&body) {
                            let pointer = in_file(&broken.pointer);
                            tell(&format!("{at}{pointer}"), &broken.detail);
                        }
                    }
                }
                let name = kind.identity(item);
                if let Some(first) = seen.insert(name.clone(), index) {
                    let first = self.line(&format!("/{}/{first}", kind.section));
                    tell(&at, &format!("{} {name} stands in line {first} already", kind.noun));
                }
            }
        }
        if broken.is_empty() { Ok(()) } else { bail!(broken.join("\n       ")) }
    }

    /// What a host said about a change, at the lines that it is about.
    pub(super) fn explain(&self, change: &Change, refusal: &Refusal) -> anyhow::Error {
        let at = change.index.map(|index| format!("/{}/{index}", change.kind.section));
        let Some(at) = at else { return anyhow::anyhow!("{change}: {refusal}") };
        if refusal.errors.is_empty() {
            return anyhow::anyhow!(self.place(&at, &refusal.to_string()));
        }
        let lines: Vec<_> = refusal
            .errors
            .iter()
            .map(|rule| {
                let pointer = in_file(&rule.pointer);
                self.place(&format!("{at}{pointer}"), &rule.detail)
            })
            .collect();
        anyhow::anyhow!(lines.join("\n       "))
    }

    /// `workspace.yaml:12: brands[3].name: is required`
    pub(super) fn place(&self, pointer: &str, detail: &str) -> String {
        let path = pointer.split('/').skip(1).fold(String::new(), |mut path, step| {
            if step.parse::<usize>().is_ok() {
                // Writing to a string cannot fail.
                let _ = write!(path, "[{step}]");
            } else {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(&step.replace("~1", "/").replace("~0", "~"));
            }
            path
        });
        let (file, line) = (self.file.display(), self.line(pointer));
        if path.is_empty() {
            format!("{file}:{line}: {detail}")
        } else {
            format!("{file}:{line}: {path}: {detail}")
        }
    }

    /// The line of a value, or of the nearest one around it.
    fn line(&self, pointer: &str) -> usize {
        let mut pointer = pointer;
        loop {
            if let Some(line) = self.document.lines.get(pointer) {
                return *line;
            }
            match pointer.rfind('/') {
                Some(at) => pointer = &pointer[..at],
                None => return 1,
            }
        }
    }
}
