//! What was checked, and whether it held.

use std::{fmt, io::Write};

/// One line on standard error, where the progress goes.
pub fn note(line: fmt::Arguments<'_>) {
    // Whoever closed the terminal does not want to know.
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[derive(Default)]
pub struct Report {
    checks: Vec<Check>,
}

struct Check {
    what: String,
    holds: bool,
    found: String,
}

impl Report {
    /// Notes whether an invariant holds, and what shows it.
    pub fn check(&mut self, what: &str, holds: bool, found: impl Into<String>) {
        let found = found.into();
        let word = if holds { "ok  " } else { "FAIL" };
        note(format_args!("{word}  {what:<62}  {found}"));
        self.checks.push(Check { what: what.into(), holds, found });
    }

    /// Sums up; `true` when everything held.
    pub fn finish(&self) -> bool {
        let broken: Vec<_> = self.checks.iter().filter(|check| !check.holds).collect();
        let held = self.checks.len() - broken.len();
        note(format_args!("\n{held} of {} invariants hold", self.checks.len()));
        for check in &broken {
            note(format_args!("broken: {}: {}", check.what, check.found));
        }
        broken.is_empty() && held > 0
    }
}
