//! A report as a file: for machines, spreadsheets, mails and browsers.
//!
//! **Invariant:** names of tenants are data: no cell of a spreadsheet is a formula, no name is
//! markup.

use super::{BrandLine, Content};
use aiv_analysis::metrics::Estimate;
use std::fmt::Write as _;

/// What to make of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Csv,
    Markdown,
    Html,
}

/// The text of a report.
pub fn render(title: &str, content: &Content, format: Format) -> String {
    match format {
        Format::Csv => csv(content),
        Format::Markdown => markdown(title, content),
        Format::Html => html(title, content),
    }
}

/// A table with its heading.
struct Section {
    heading: String,
    header: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

/// What a report says, whatever it looks like.
fn sections(content: &Content) -> Vec<Section> {
    let (now, before) = (&content.current, &content.previous);
    let score = |score: Option<f64>| score.map_or("–".into(), |score| format!("{score:.1}"));
    let line = |name: &str, now: &Estimate, before: &Estimate| {
        vec![name.to_owned(), percent(now), percent(before)]
    };
    let count = |name: &str, now: i64, before: i64| {
        vec![name.to_owned(), now.to_string(), before.to_string()]
    };
    let summary = Section {
        heading: format!("{} to {} ({})", now.from, now.to, content.timezone),
        header: vec!["number", "this window", "window before"],
        rows: vec![
            vec![
                "visibility score".into(),
                score(now.visibility_score),
                score(before.visibility_score),
            ],
            line("answer rate", &now.answer_rate, &before.answer_rate),
            line("prompt coverage", &now.prompt_coverage, &before.prompt_coverage),
            line("engine coverage", &now.engine_coverage, &before.engine_coverage),
            line("citation share", &now.citation_share, &before.citation_share),
            count("answers", now.answered, before.answered),
            count("runs without an answer", now.no_answer, before.no_answer),
            count("runs that failed", now.failed, before.failed),
            count("citations", now.citations, before.citations),
        ],
    };
    let brands = Section {
        heading: "Brands".into(),
        header: vec![
            "brand",
            "mention rate",
            "share of voice",
            "named first",
            "cited",
            "mention rate before",
        ],
        rows: now.brands.iter().map(|brand| brand_row(brand, content)).collect(),
    };
    let domains = Section {
        heading: "Sources".into(),
        header: vec!["domain", "answers", "competitors only"],
        rows: content
            .domains
            .iter()
            .map(|row| {
                vec![row.domain.clone(), row.answers.to_string(), row.competitor_only.to_string()]
            })
            .collect(),
    };
    let costs = Section {
        heading: "Costs".into(),
        header: vec!["engine", "US dollars", "calls"],
        rows: content
            .costs
            .iter()
            .map(|row| vec![row.engine.clone(), dollars(row.micros), row.calls.to_string()])
            .collect(),
    };
    vec![summary, brands, domains, costs]
}

fn brand_row(brand: &BrandLine, content: &Content) -> Vec<String> {
    let before = content.previous.brands.iter().find(|other| other.name == brand.name);
    let own = if brand.own { " (own)" } else { "" };
    vec![
        format!("{}{own}", brand.name),
        percent(&brand.mention_rate),
        percent(&brand.share_of_voice),
        percent(&brand.first_mention_rate),
        percent(&brand.citation_rate),
        before.map_or("–".into(), |before| percent(&before.mention_rate)),
    ]
}

/// `43.1 % [31.0–56.2] n 118`: the value, its 95 % interval, the answers behind it.
fn percent(estimate: &Estimate) -> String {
    let hundred = |rate: f64| format!("{:.1}", rate * 100.0);
    let n = estimate.answers;
    match (estimate.value, estimate.low, estimate.high) {
        (Some(value), Some(low), Some(high)) => {
            format!("{} % [{}–{}] n {n}", hundred(value), hundred(low), hundred(high))
        }
        (Some(value), ..) => format!("{} % n {n}", hundred(value)),
        (None, ..) => "–".into(),
    }
}

fn dollars(micros: i64) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

const SYNTHETIC: &str = "The answers are recordings: the numbers show how the product works, not a \
                         market.";

fn markdown(title: &str, content: &Content) -> String {
    let cell = |text: &str| {
        let text = text.replace(['\n', '\r'], " ");
        text.chars().fold(String::new(), |mut out, c| {
            if "\\`*_[]<>|#".contains(c) {
                out.push('\\');
            }
            out.push(c);
            out
        })
    };
    let mut out = format!("# {}: {}\n\n", cell(&content.workspace), cell(title));
    if content.synthetic {
        let _ = writeln!(out, "{SYNTHETIC}\n");
    }
    for Section { heading, header, rows } in sections(content) {
        let _ = writeln!(out, "## {}\n", cell(&heading));
        let _ = writeln!(out, "| {} |", header.join(" | "));
        let _ = writeln!(out, "|{}", "---|".repeat(header.len()));
        for row in rows {
            let cells: Vec<_> = row.iter().map(|text| cell(text)).collect();
            let _ = writeln!(out, "| {} |", cells.join(" | "));
        }
        out.push('\n');
    }
    out
}

fn html(title: &str, content: &Content) -> String {
    let escape = |text: &str| {
        text.replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
            .replace('"', "&quot;")
            .replace('\'', "&#39;")
    };
    let (workspace, title) = (escape(&content.workspace), escape(title));
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>{workspace}: \
         {title}</title></head>\n<body>\n<h1>{workspace}: {title}</h1>\n"
    );
    if content.synthetic {
        let _ = writeln!(out, "<p>{SYNTHETIC}</p>");
    }
    for Section { heading, header, rows } in sections(content) {
        let _ = write!(out, "<h2>{}</h2>\n<table>\n<tr>", escape(&heading));
        for text in header {
            let _ = write!(out, "<th>{text}</th>");
        }
        out.push_str("</tr>\n");
        for row in rows {
            out.push_str("<tr>");
            for text in row {
                let _ = write!(out, "<td>{}</td>", escape(&text));
            }
            out.push_str("</tr>\n");
        }
        out.push_str("</table>\n");
    }
    out.push_str("</body>\n</html>\n");
    out
}

/// One line per number, for spreadsheets and scripts.
fn csv(content: &Content) -> String {
    let mut out = String::from("from,to,subject,metric,value,low,high,answers\r\n");
    for window in [&content.current, &content.previous] {
        let mut line = |subject: &str, metric: &str, estimate: &Estimate| {
            let number = |value: Option<f64>| value.map_or(String::new(), |v| v.to_string());
            let (value, low, high) =
                (number(estimate.value), number(estimate.low), number(estimate.high));
            let _ = write!(
                out,
                "{},{},{},{metric},{value},{low},{high},{}\r\n",
                window.from,
                window.to,
                field(subject),
                estimate.answers
            );
        };
        line("", "answer_rate", &window.answer_rate);
        line("", "prompt_coverage", &window.prompt_coverage);
        line("", "engine_coverage", &window.engine_coverage);
        line("", "citation_share", &window.citation_share);
        for brand in &window.brands {
            line(&brand.name, "mention_rate", &brand.mention_rate);
            line(&brand.name, "share_of_voice", &brand.share_of_voice);
            line(&brand.name, "first_mention_rate", &brand.first_mention_rate);
            line(&brand.name, "citation_rate", &brand.citation_rate);
            line(&brand.name, "net_sentiment", &brand.net_sentiment);
        }
    }
    out
}

/// A text as a field of CSV. A leading `'` keeps spreadsheets from taking it for a formula.
fn field(text: &str) -> String {
    let guard = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    if text.contains([',', '"', '\n', '\r']) || !guard.is_empty() {
        format!("\"{guard}{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::field;

    #[test]
    fn a_field_is_never_a_formula() {
        for (text, written) in [
            ("Acme", "Acme"),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("=1+1", "\"'=1+1\""),
            ("@x", "\"'@x\""),
            ("-5", "\"'-5\""),
        ] {
            assert_eq!(field(text), written);
        }
    }
}
