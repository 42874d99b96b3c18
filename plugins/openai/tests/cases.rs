//! The recorded conversations in `cases/`, as the host's `aiv plugin test` runs them.

use std::path::Path;

use aiv_sdk::testing::cases;

fn check(folder: impl AsRef<Path>) -> usize {
    let (differences, count) =
        cases::check::<openai::OpenAi>(folder).expect("the cases can be read");
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    count
}

#[test]
fn every_case_holds() {
    let count = check(concat!(env!("CARGO_MANIFEST_DIR"), "/cases"));
    assert!(count >= 10, "only {count} cases were found");
}

/// A larger set, where somebody keeps one beside the repository.
#[test]
fn recorded_bodies_hold() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/fixtures/providers/next/openai-responses");
    if folder.is_dir() {
        assert_eq!(check(folder), 1);
    }
}
