//! A folder in which a provider is written.
//!
//! Its language is told by the file that the language's own tools look for; its component is
//! `dist/<key>.wasm`, its cases are in `cases`, and the SDK that it is written with in `aiv-sdk`.

use anyhow::{Context, bail, ensure};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// What tools make, and what changes with every build.
const MADE: [&str; 8] = [
    "bindings",
    "Cargo.lock",
    "dist",
    "go.sum",
    "node_modules",
    "package-lock.json",
    "__pycache__",
    "target",
];

/// A language that providers are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Language {
    Rust,
    Js,
    Python,
    Go,
}

impl Language {
    pub(super) const ALL: [Self; 4] = [Self::Rust, Self::Js, Self::Python, Self::Go];

    /// The file that says that a folder is a project in this language.
    pub(super) fn mark(self) -> &'static str {
        match self {
            Self::Rust => "Cargo.toml",
            Self::Js => "package.json",
            Self::Python => "pyproject.toml",
            Self::Go => "go.mod",
        }
    }
}

/// A project's folder.
#[derive(Debug, Clone)]
pub(super) struct Project {
    /// Absolute.
    pub(super) folder: PathBuf,
    pub(super) language: Language,
}

/// A project's sources as they were last seen.
pub(super) type Sources = BTreeMap<PathBuf, (Option<SystemTime>, u64)>;

impl Project {
    pub(super) fn open(folder: &Path) -> anyhow::Result<Self> {
        let folder = folder.canonicalize().with_context(|| format!("open {}", folder.display()))?;
        let is = |language: &Language| folder.join(language.mark()).is_file();
        match Language::ALL.into_iter().find(is) {
            Some(language) => Ok(Self { folder, language }),
            None => bail!(
                "{} is no project: there is no {}; `aiv plugin new` makes one",
                folder.display(),
                Language::ALL.map(Language::mark).join(", no ")
            ),
        }
    }

    pub(super) fn dist(&self) -> PathBuf {
        self.folder.join("dist")
    }

    pub(super) fn cases(&self) -> PathBuf {
        self.folder.join("cases")
    }

    /// The component of the last build.
    pub(super) fn component(&self) -> anyhow::Result<PathBuf> {
        let dist = self.dist();
        let is_component = |path: &PathBuf| path.extension().is_some_and(|end| end == "wasm");
        let found: Vec<_> = entries(&dist)
            .unwrap_or_default()
            .into_iter()
            .map(|entry| entry.path())
            .filter(is_component)
            .collect();
        let place = dist.display();
        ensure!(!found.is_empty(), "there is no component in {place}: run `aiv plugin build`");
        ensure!(found.len() == 1, "there are several components in {place}: name the one you mean");
        Ok(found[0].clone())
    }

    /// All files that a build or a test could depend on.
    pub(super) fn sources(&self) -> anyhow::Result<Sources> {
        let mut sources = Sources::new();
        collect(&self.folder, &mut sources)?;
        Ok(sources)
    }
}

fn collect(folder: &Path, sources: &mut Sources) -> anyhow::Result<()> {
    for entry in entries(folder)? {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') || MADE.contains(&&*name) {
            continue;
        }
        // It may be gone again by now: editors write beside the file and rename.
        let (Ok(kind), Ok(known)) = (entry.file_type(), entry.metadata()) else { continue };
        if kind.is_dir() {
            collect(&entry.path(), sources)?;
        } else {
            sources.insert(entry.path(), (known.modified().ok(), known.len()));
        }
    }
    Ok(())
}

fn entries(folder: &Path) -> anyhow::Result<Vec<fs::DirEntry>> {
    let read = || fs::read_dir(folder)?.collect::<std::io::Result<Vec<_>>>();
    read().with_context(|| format!("read {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_changes_is_seen_and_what_a_build_makes_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        assert!(Project::open(folder.path()).unwrap_err().to_string().contains("no go.mod"));
        write("package.json", "{}");
        fs::create_dir_all(folder.path().join("src")).unwrap();
        fs::create_dir_all(folder.path().join("dist")).unwrap();
        let project = Project::open(folder.path()).unwrap();
        assert_eq!(project.language, Language::Js);
        let before = project.sources().unwrap();
        write("dist/acme.wasm", "made");
        write("Cargo.lock", "made");
        write(".hidden", "made");
        assert_eq!(project.sources().unwrap(), before);
        assert!(project.component().unwrap().ends_with("dist/acme.wasm"));
        write("src/provider.js", "export const engine = 1;");
        assert_ne!(project.sources().unwrap(), before);
    }
}
