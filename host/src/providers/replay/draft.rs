//! What an engine says, before it is put into a vendor's format.

use super::{
    dice::Dice,
    material::{Brand, Intent, MATERIAL},
};
use std::fmt::Write;

/// Most brands one answer names.
const MOST_BRANDS: usize = 5;

/// How far one prompt shifts a brand's share, to either side, on every sample of it.
const PROMPT_EFFECT: f64 = 0.22;

pub(super) struct Draft {
    pub(super) blocks: Vec<Block>,
    /// In the order of their numbers; some are named nowhere in the text.
    pub(super) sources: Vec<Source>,
}

pub(super) struct Source {
    pub(super) url: String,
    pub(super) title: String,
    pub(super) published: Option<String>,
}

#[derive(Clone)]
pub(super) enum Block {
    Paragraph(Passage),
    Heading(String),
    List { entries: Vec<Entry>, numbered: bool },
    Table { rows: Vec<Vec<String>> },
}

/// Text and what it rests on, as positions in [`Draft::sources`].
#[derive(Clone)]
pub(super) struct Passage {
    pub(super) text: String,
    pub(super) sources: Vec<usize>,
}

#[derive(Clone)]
pub(super) struct Entry {
    pub(super) title: String,
    pub(super) passage: Passage,
    /// The entry's own page, as some engines link it.
    pub(super) home: Option<String>,
}

impl Draft {
    pub(super) fn new(prompt: &str, engine: &str, seed: u32) -> Self {
        let intent = MATERIAL.intent(prompt);
        let mut dice = Dice::new(&["draft", prompt, engine, &seed.to_string()]);
        let brands = chosen(prompt, engine, intent, &mut dice);
        let mut author = Author { dice, sources: Vec::new(), brands };
        let blocks = author.write(intent);
        author.add_unused();
        Self { blocks, sources: author.sources }
    }

    /// As Markdown; `marker` shows that the text so far rests on a source.
    pub(super) fn markdown(&self, marker: impl Fn(usize) -> String) -> String {
        let cited = |passage: &Passage| {
            passage.sources.iter().fold(passage.text.clone(), |text, &n| text + &marker(n))
        };
        let blocks: Vec<_> = self
            .blocks
            .iter()
            .map(|block| match block {
                Block::Paragraph(passage) => cited(passage),
                Block::Heading(text) => format!("## {text}"),
                Block::List { entries, numbered } => entries
                    .iter()
                    .enumerate()
                    .map(|(i, entry)| {
                        let bullet = if *numbered { format!("{}.", i + 1) } else { "-".into() };
                        format!("{bullet} **{}**: {}", entry.title, cited(&entry.passage))
                    })
                    .collect::<Vec<_>>()
                    .join("\n"),
                Block::Table { rows } => table(rows),
            })
            .collect();
        blocks.join("\n\n")
    }
}

fn table(rows: &[Vec<String>]) -> String {
    let mut text = String::new();
    for (i, row) in rows.iter().enumerate() {
        let _ = writeln!(text, "| {} |", row.join(" | "));
        if i == 0 {
            let _ = writeln!(text, "|{}", "---|".repeat(row.len()));
        }
    }
    text.trim_end().to_owned()
}

/// The brands of one answer, best first.
fn chosen(prompt: &str, engine: &str, intent: &Intent, dice: &mut Dice) -> Vec<&'static Brand> {
    let mut ranked: Vec<(f64, &Brand)> = MATERIAL
        .brands
        .iter()
        .filter_map(|brand| {
            let share = brand.share.get(engine).or(brand.share.get("other")).copied();
            let boost = intent.boosts.get(&brand.name).copied().unwrap_or(1.0);
            let of_prompt = Dice::new(&["prompt", prompt, engine, &brand.name]).unit() - 0.5;
            let wanted = share.unwrap_or_default() * boost * intent.appetite
                + of_prompt * 2.0 * PROMPT_EFFECT * intent.appetite;
            let (luck, order) = (dice.unit(), dice.unit());
            let is_named = names(prompt, &brand.name);
            let is_in = is_named || luck < wanted.clamp(0.02, 0.97);
            // A question about a brand is answered with that brand first.
            let score = wanted + 0.5 * order + if is_named { 1.0 } else { 0.0 };
            is_in.then_some((score, brand))
        })
        .collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    ranked.truncate(MOST_BRANDS);
    ranked.into_iter().map(|(_, brand)| brand).collect()
}

fn names(prompt: &str, brand: &str) -> bool {
    prompt.to_lowercase().contains(&brand.to_lowercase())
}

struct Author {
    dice: Dice,
    sources: Vec<Source>,
    brands: Vec<&'static Brand>,
}

impl Author {
    fn write(&mut self, intent: &'static Intent) -> Vec<Block> {
        let opening = self.dice.pick(&intent.openings).clone();
        let closing = self.dice.pick(&intent.closings).clone();
        let opening_sources = vec![self.neutral()];
        let mut blocks =
            vec![Block::Paragraph(Passage { text: opening, sources: opening_sources })];
        if self.brands.is_empty() {
            blocks.push(self.advice());
        } else {
            match self.dice.below(6) {
                0 | 1 => blocks.push(self.list(false)),
                2 => blocks.push(self.list(true)),
                3 => blocks.extend(self.prose()),
                4 => blocks.extend(self.sections()),
                _ => blocks.extend(self.comparison()),
            }
        }
        if self.dice.chance(0.75) {
            blocks.push(Block::Paragraph(Passage { text: closing, sources: Vec::new() }));
        }
        blocks
    }

    fn advice(&mut self) -> Block {
        let start = self.dice.below(MATERIAL.advice.len());
        let entries = ["Goal", "Focus", "Owners"].iter().enumerate().map(|(i, title)| {
            let text = MATERIAL.advice[(start + i) % MATERIAL.advice.len()].clone();
            let sources = if i == 1 { vec![self.neutral()] } else { Vec::new() };
            Entry { title: (*title).to_owned(), passage: Passage { text, sources }, home: None }
        });
        Block::List { entries: entries.collect(), numbered: true }
    }

    fn list(&mut self, numbered: bool) -> Block {
        let entries = self.brands.clone().into_iter().map(|brand| {
            let passage = self.opinion(brand, "It ");
            let home = brand.pages.first().map(|(url, _)| url.clone());
            Entry { title: self.spoken(brand), passage, home }
        });
        Block::List { entries: entries.collect(), numbered }
    }

    fn prose(&mut self) -> Vec<Block> {
        let brands = self.brands.clone();
        brands
            .iter()
            .enumerate()
            .map(|(i, &brand)| {
                let name = self.spoken(brand);
                let subject = match i {
                    0 => format!("**{name}** "),
                    1 => format!("Close behind, {name} "),
                    _ => format!("{name} "),
                };
                Block::Paragraph(self.opinion(brand, &subject))
            })
            .collect()
    }

    fn sections(&mut self) -> Vec<Block> {
        let brands = self.brands.clone();
        brands
            .into_iter()
            .flat_map(|brand| {
                let passage = self.opinion(brand, &format!("{} ", brand.name));
                [Block::Heading(brand.name.clone()), Block::Paragraph(passage)]
            })
            .collect()
    }

    fn comparison(&mut self) -> Vec<Block> {
        let brands = self.brands.clone();
        let mut rows = vec![vec!["Tool".into(), "Strong point".into(), "Mind".into()]];
        rows.extend(brands.iter().map(|brand| {
            let strength = self.dice.pick(&brand.strengths).clone();
            let weakness = self.dice.pick(&brand.weaknesses).clone();
            vec![brand.name.clone(), strength, weakness]
        }));
        let first = brands[0];
        let verdict = self.opinion(first, &format!("Overall, {} ", first.name));
        vec![Block::Table { rows }, Block::Paragraph(verdict)]
    }

    fn opinion(&mut self, brand: &'static Brand, subject: &str) -> Passage {
        let mut text = format!("{subject}{}", self.dice.pick(&brand.strengths));
        if self.dice.chance(0.35) {
            let _ = write!(text, ", but {}", self.dice.pick(&brand.weaknesses));
        }
        text.push('.');
        let mut sources = Vec::new();
        if self.dice.chance(0.45) {
            let (url, title) = self.dice.pick(&brand.pages);
            sources.push(self.number(url, title, None));
        }
        if sources.is_empty() || self.dice.chance(0.3) {
            sources.push(self.neutral());
        }
        sources.dedup();
        Passage { text, sources }
    }

    /// People and engines do not always write a name the same way.
    fn spoken(&mut self, brand: &Brand) -> String {
        if !brand.aliases.is_empty() && self.dice.chance(0.15) {
            self.dice.pick(&brand.aliases).clone()
        } else {
            brand.name.clone()
        }
    }

    fn neutral(&mut self) -> usize {
        let (url, title, published) = self.dice.pick(&MATERIAL.sources);
        self.number(url, title, published.clone())
    }

    fn number(&mut self, url: &str, title: &str, published: Option<String>) -> usize {
        self.sources.iter().position(|source| source.url == url).unwrap_or_else(|| {
            let source = Source { url: url.to_owned(), title: title.to_owned(), published };
            self.sources.push(source);
            self.sources.len() - 1
        })
    }

    /// Engines list more than they use, now and then a brand that the text leaves out.
    fn add_unused(&mut self) {
        for _ in 0..=self.dice.below(3) {
            self.neutral();
        }
        if self.dice.chance(0.4) {
            let brand = self.dice.pick(&MATERIAL.brands);
            let (url, title) = self.dice.pick(&brand.pages);
            self.number(url, title, None);
        }
    }
}
