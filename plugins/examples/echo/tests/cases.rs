//! The cases that the examples in every language pass, run natively.

use aiv_sdk::testing::cases;

#[test]
fn every_case_holds() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../sdk/examples/cases");
    let (differences, count) = cases::check::<echo::Echo>(folder).unwrap();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(count >= 10, "only {count} cases were found");
}
