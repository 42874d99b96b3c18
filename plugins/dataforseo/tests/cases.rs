//! The recorded conversations in `cases/`, as the host's `aiv plugin test` runs them.

use aiv_sdk::testing::cases;

#[test]
fn every_case_holds() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/cases");
    let (differences, count) = cases::check::<dataforseo::DataForSeo>(folder).unwrap();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(count >= 10, "only {count} cases were found");
}
