//! How fast answers are searched and counts are folded: `cargo bench -p aiv-analysis`.

use std::hint::black_box;

use aiv_analysis::{
    answers::{Analyzer, Brand},
    citations::{CitationKind, OfferedCitation, SourceTable},
    markdown::plain_text,
    mentions::{Alias, Matcher, Scratch, TrackedBrand},
    metrics::{Design, mention_rate, tally},
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// What engines write: headings, numbered lists, bold names, links, citation markers, a table,
/// typographic punctuation, one paragraph in Danish.
const ANSWER: &str = include_str!("answer.md");

const ALIASES: u32 = 1_000;

fn brands() -> Vec<TrackedBrand> {
    let known = [
        "Sony",
        "Bose",
        "Sennheiser",
        "Apple AirPods",
        "JBL",
        "Anker Soundcore",
        "H&M",
        "Monday.com",
        "Coop",
        "Coop 365discount",
        "Jabra",
        "Bang & Olufsen",
    ];
    let syllables = ["ka", "zo", "ri", "mel", "ton", "vex", "lu", "par", "sid", "qua", "ne", "fy"];
    let invented = (0..ALIASES).map(|n| {
        let part = |step: u32| syllables[((n / step) % 12) as usize];
        let name = format!("{}{}{}", part(1), part(12), part(144));
        if n % 5 == 0 { format!("{name} {}", part(7)) } else { name }
    });
    let names = known.iter().map(ToString::to_string).chain(invented).take(ALIASES as usize);
    (0..)
        .zip(names)
        .map(|(id, name)| TrackedBrand { id, aliases: vec![Alias::new(name)] })
        .collect()
}

fn search(c: &mut Criterion) {
    let matcher = Matcher::new(&brands()).expect("aliases");
    let mut scratch = Scratch::default();
    let mut group = c.benchmark_group("matcher");
    group.throughput(Throughput::Bytes(ANSWER.len() as u64));
    group.bench_function("1000_aliases", |b| {
        b.iter(|| matcher.find_with(&mut scratch, black_box(ANSWER)).len());
    });
    group.bench_function("markdown_alone", |b| b.iter(|| plain_text(black_box(ANSWER))));
    group.finish();
}

fn answer(c: &mut Criterion) {
    let brands: Vec<_> = brands()
        .into_iter()
        .map(|TrackedBrand { id, aliases }| Brand {
            id,
            own: id == 0,
            aliases,
            domains: vec![format!("brand-{id}.com")],
        })
        .collect();
    let analyzer = Analyzer::new(&brands, SourceTable::standard()).expect("aliases");
    let sources =
        ["rtings.com/headphones", "www.soundguys.com/best?utm_source=openai", "reddit.com/r/h"];
    let offered: Vec<_> = (0..8)
        .map(|n| OfferedCitation {
            url: format!("https://{}#{n}", sources[n % 3]),
            title: Some("Best headphones".to_owned()),
            kind: CitationKind::Listed,
        })
        .collect();
    let mut scratch = Scratch::default();
    let mut group = c.benchmark_group("answer");
    group.throughput(Throughput::Elements(1));
    group.bench_function("end_to_end", |b| {
        b.iter(|| analyzer.analyse(&mut scratch, black_box(ANSWER), black_box(&offered)));
    });
    group.finish();
}

fn kernel(c: &mut Criterion) {
    let runs: Vec<_> = (0..1_000_000_u32).map(|n| (n / 7, n % 7 < (n / 7) % 8)).collect();
    let mut group = c.benchmark_group("kernel");
    group.throughput(Throughput::Elements(runs.len() as u64));
    group.bench_function("1m_runs", |b| {
        b.iter(|| {
            let prompts = tally(black_box(&runs).iter().copied());
            mention_rate(&prompts, Design { engines: 3, days: 30 })
        });
    });
    group.finish();
}

criterion_group!(benches, search, answer, kernel);
criterion_main!(benches);
