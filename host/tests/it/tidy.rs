//! The rules of ARCHITECTURE.md that a machine can check.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Which of its siblings a top-level module may use. What is not listed may be used by all.
const MAY_USE: &[(&str, &[&str])] = &[
    ("cli", &["api", "identity", "jobs", "metrics", "providers", "queue", "redis", "store"]),
    ("api", &["identity", "jobs", "metrics", "providers", "queue", "redis", "store"]),
    ("identity", &["providers"]),
    ("jobs", &["metrics", "providers", "queue", "redis", "store"]),
    ("metrics", &["store"]),
    ("providers", &["store"]),
    ("queue", &["redis", "store"]),
    ("redis", &[]),
    ("store", &[]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn source(module: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(module)
}

/// All Rust files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && name != "node_modules" && !name.starts_with('.') {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The top-level modules that a file names, in paths and in the first level of `use crate::{…}`.
fn siblings_used(text: &str) -> BTreeSet<String> {
    let word = |text: &str| -> String {
        text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
    };
    let mut used = BTreeSet::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        let Some(group) = rest.strip_prefix('{') else {
            used.insert(word(rest));
            continue;
        };
        let (mut depth, mut start) = (0, true);
        for (index, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => start = true,
                c if start && depth == 0 && !c.is_whitespace() => {
                    used.insert(word(&group[index..]));
                    start = false;
                }
                _ => {}
            }
        }
    }
    used
}

#[test]
fn modules_depend_downwards() {
    for (module, allowed) in MAY_USE {
        for file in files(&source(module)) {
            let used = siblings_used(&fs::read_to_string(&file).unwrap());
            for (other, _) in MAY_USE {
                let fine = other == module || allowed.contains(other) || !used.contains(*other);
                assert!(fine, "{} uses `{other}`: `{module}` may not", file.display());
            }
        }
    }
}

#[test]
fn libraries_stay_where_they_belong() {
    let rules: &[(&str, &[&str])] = &[
        ("sqlx::", &["host/src/store/", "host/src/error.rs", "host/src/ids.rs"]),
        ("poem", &["host/src/api/"]),
        ("wasmtime", &["host/runtime/"]),
        ("reqwest::", &["host/src/providers/"]),
        ("bullmq::", &["host/src/queue/"]),
    ];
    for file in files(&source("")) {
        let text = fs::read_to_string(&file).unwrap();
        let place = format!("host/src/{}", file.strip_prefix(source("")).unwrap().display());
        for (library, places) in rules {
            let used = text.lines().any(|line| {
                let code = line.trim_start();
                !code.starts_with("//") && code.contains(library)
            });
            let fine = places.iter().any(|allowed| place.starts_with(allowed));
            assert!(fine || !used, "{place} uses {library}, which lives in {places:?}");
        }
    }
}

#[test]
fn both_engines_have_the_same_migrations() {
    let names = |engine: &str| -> BTreeSet<_> {
        let folder = root().join("migrations").join(engine);
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    };
    assert_eq!(names("postgres"), names("sqlite"));
}

#[test]
fn files_stay_short_enough_to_read() {
    for folder in ["host", "sdk/src", "plugins"] {
        for file in files(&root().join(folder)) {
            let lines = fs::read_to_string(&file).unwrap().lines().count();
            assert!(lines <= 600, "{} has {lines} lines: split it", file.display());
        }
    }
}

#[test]
fn sqlite_tables_are_strict() {
    let folder = root().join("migrations/sqlite");
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let sql = fs::read_to_string(&path).unwrap();
        let (tables, strict) =
            (sql.matches("CREATE TABLE").count(), sql.matches(") STRICT;").count());
        assert_eq!(tables, strict, "{}", path.display());
    }
}

/// Components are out there that were built for it: see `wit/README.md`.
#[test]
fn a_released_interface_never_changes() {
    use sha2::{Digest, Sha256};

    let wit = fs::read(root().join("wit/provider-0.1/provider.wit")).unwrap();
    let released = "6768762ce58f406e96e1f0b748f7673a4737901c9eb87affda5586fbf3c0975f";
    assert_eq!(hex::encode(Sha256::digest(wit)), released, "make a new version instead");
}
