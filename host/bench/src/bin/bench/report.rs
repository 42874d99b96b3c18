//! What is told: tables for people, lines of JSON for programs.

use serde_json::{Map, Value, json};
use std::{
    fmt::Display,
    fs::OpenOptions,
    io::{self, Write},
    path::PathBuf,
};

pub(crate) struct Report {
    results: PathBuf,
    /// Figures by part.
    parts: Map<String, Value>,
}

impl Report {
    pub(crate) fn new(results: PathBuf) -> Self {
        Self { results, parts: Map::new() }
    }

    /// Keeps the figures of a part, also if the next part fails.
    pub(crate) fn add(&mut self, part: &str, figures: Value) -> anyhow::Result<()> {
        let line = json!({ "at": now(), "part": part, "figures": figures });
        let mut file = OpenOptions::new().create(true).append(true).open(&self.results)?;
        writeln!(file, "{line}")?;
        self.parts.insert(part.to_owned(), figures);
        Ok(())
    }

    /// Ends with one line of JSON, if that was asked for; the ratios stand at its top.
    pub(crate) fn finish(self, as_json: bool) -> anyhow::Result<()> {
        note(format_args!("\nkept in {}", self.results.display()));
        if as_json {
            let mut line = Map::new();
            for name in ["ratio_to_peer", "cpu_ratio_to_peer", "ratio_to_floor"] {
                if let Some(ratio) = self.parts.get("pipeline").and_then(|part| part.get(name)) {
                    line.insert(name.to_owned(), ratio.clone());
                }
            }
            line.extend(self.parts);
            writeln!(io::stdout(), "{}", Value::Object(line))?;
        }
        Ok(())
    }
}

/// A line for whoever watches.
pub(crate) fn note(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Rows under a header, columns aligned to the right.
pub(crate) fn table(title: &str, header: &[&str], rows: &[Vec<String>]) {
    let width = |at: usize| {
        let cells = rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count());
        cells.chain([header[at].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let print = |cells: &[&str]| {
        let mut line = String::new();
        for (at, (cell, width)) in cells.iter().zip(&widths).enumerate() {
            let pad = " ".repeat(width - cell.chars().count());
            let (left, right) = if at == 0 { (*cell, pad.as_str()) } else { (pad.as_str(), *cell) };
            line.extend(["  ", left, right]);
        }
        note(line);
    };
    note(format_args!("\n{title}"));
    print(header);
    for row in rows {
        print(&row.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

/// Rounds for print.
pub(crate) fn figure(value: f64, decimals: usize) -> String {
    if value.is_finite() { format!("{value:.decimals$}") } else { "–".to_owned() }
}

/// Rounds for a document, where nobody wants to read more digits than mean something.
pub(crate) fn rounded(value: f64, decimals: i32) -> Value {
    let factor = 10_f64.powi(decimals);
    json!((value * factor).round() / factor)
}

fn now() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "a result says when it was measured")]
    let now = std::time::SystemTime::now();
    now.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
