//! The overview as a table and as JSON, for people and scripts at a terminal.

use crate::{
    metrics::{Overview, TopDomain},
    store::brands::BrandKind,
};
use aiv_analysis::metrics::Estimate;
use comfy_table::{Cell, CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use serde_json::{Value, json};

/// Visibility of every brand at every engine, each rate with its interval and n.
pub(super) fn visibility(overview: &Overview) -> Table {
    let engines: Vec<&str> = overview.engines.iter().map(|engine| engine.engine.as_str()).collect();
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    let headers = ["brand"].into_iter().chain(engines.iter().copied()).chain([
        "all engines",
        "share of voice",
        "named first",
        "cited",
    ]);
    table.set_header(headers.collect::<Vec<_>>());
    for brand in &overview.brands {
        let own = if brand.kind == BrandKind::Own { " (own)" } else { "" };
        let mut row = vec![Cell::new(format!("{}{own}", brand.name))];
        row.extend(brand.engines.iter().map(|at| Cell::new(percent(&at.mention_rate))));
        row.push(Cell::new(percent(&brand.mention_rate)));
        row.push(Cell::new(percent(&brand.share_of_voice)));
        row.push(Cell::new(percent(&brand.first_mention_rate)));
        row.push(Cell::new(percent(&brand.citation_rate)));
        table.add_row(row);
    }
    table
}

/// What each engine did and what it cost.
pub(super) fn engines(overview: &Overview, costs: &[(String, i64)]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header(["engine", "answered", "no answer", "failed", "answer rate", "cost"]);
    for engine in &overview.engines {
        let totals = engine.totals;
        let cost = costs.iter().find(|(key, _)| *key == engine.engine).map_or(0, |(_, m)| *m);
        let mut row = vec![Cell::new(&engine.engine)];
        for count in [totals.answered, totals.no_answer, totals.failed] {
            row.push(Cell::new(count).set_alignment(CellAlignment::Right));
        }
        row.push(Cell::new(percent(&engine.answer_rate)));
        row.push(Cell::new(dollars(cost)).set_alignment(CellAlignment::Right));
        table.add_row(row);
    }
    table
}

/// The sources that readers see most.
pub(super) fn domains(domains: &[TopDomain]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header(["source", "kind", "answers", "competitor only", "engines"]);
    for domain in domains {
        table.add_row([
            Cell::new(&domain.domain),
            Cell::new(kind(domain)),
            Cell::new(domain.answers).set_alignment(CellAlignment::Right),
            Cell::new(domain.competitor_only).set_alignment(CellAlignment::Right),
            Cell::new(domain.engines.join(", ")),
        ]);
    }
    table
}

/// The same without anything that differs from one run to the next, such as ids and times.
pub(super) fn json(overview: &Overview, costs: &[(String, i64)], top: &[TopDomain]) -> Value {
    let brands: Vec<Value> = overview
        .brands
        .iter()
        .map(|brand| {
            let engines: serde_json::Map<String, Value> = brand
                .engines
                .iter()
                .map(|at| {
                    let rates = json!({
                        "mention_rate": at.mention_rate,
                        "share_of_voice": at.share_of_voice,
                        "first_mention_rate": at.first_mention_rate,
                        "citation_rate": at.citation_rate,
                    });
                    (at.engine.clone(), rates)
                })
                .collect();
            json!({
                "name": brand.name,
                "kind": brand.kind,
                "mention_rate": brand.mention_rate,
                "share_of_voice": brand.share_of_voice,
                "first_mention_rate": brand.first_mention_rate,
                "mean_reciprocal_rank": brand.mean_reciprocal_rank,
                "average_position": brand.average_position,
                "citation_rate": brand.citation_rate,
                "net_sentiment": brand.net_sentiment,
                "engines": engines,
            })
        })
        .collect();
    let engines: Vec<Value> = overview
        .engines
        .iter()
        .map(|engine| {
            let cost = costs.iter().find(|(key, _)| *key == engine.engine).map_or(0, |(_, m)| *m);
            json!({
                "engine": engine.engine,
                "totals": engine.totals,
                "answer_rate": engine.answer_rate,
                "citation_share": engine.citation_share,
                "cost_micros": cost,
            })
        })
        .collect();
    let domains: Vec<Value> = top
        .iter()
        .map(|domain| {
            json!({
                "domain": domain.domain,
                "kind": domain.kind,
                "answers": domain.answers,
                "competitor_only": domain.competitor_only,
                "engines": domain.engines,
            })
        })
        .collect();
    json!({
        "synthetic": overview.synthetic,
        "totals": overview.totals,
        "answer_rate": overview.answer_rate,
        "prompt_coverage": overview.prompt_coverage,
        "engine_coverage": overview.engine_coverage,
        "citation_share": overview.citation_share,
        "ghosts": overview.ghosts,
        "visibility_score": overview.visibility_score,
        "brands": brands,
        "engines": engines,
        "top_domains": domains,
        "cost_micros": costs.iter().map(|(_, micros)| micros).sum::<i64>(),
    })
}

/// `43 % [31–56] n 118`: the value, its 95 % interval, the answers behind it.
pub(super) fn percent(estimate: &Estimate) -> String {
    let hundred = |rate: f64| format!("{:.0}", rate * 100.0);
    match (estimate.value, estimate.low, estimate.high) {
        (Some(value), Some(low), Some(high)) => format!(
            "{} % [{}–{}] n {}",
            hundred(value),
            hundred(low),
            hundred(high),
            estimate.answers
        ),
        (Some(value), ..) => format!("{} % n {}", hundred(value), estimate.answers),
        (None, ..) => "–".into(),
    }
}

/// Micro-USD as dollars, to a tenth of a cent.
pub(super) fn dollars(micros: i64) -> String {
    format!("${}.{:03}", micros / 1_000_000, micros % 1_000_000 / 1000)
}

fn kind(domain: &TopDomain) -> String {
    let kind = serde_json::to_value(domain.kind).ok();
    kind.as_ref().and_then(Value::as_str).unwrap_or("other").replace('_', " ")
}
