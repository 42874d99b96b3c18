//! Prompts that a workspace may want to track, made from templates and what it has declared.
//!
//! **Invariant:** the same workspace gets the same suggestions. They are questions to ask, never
//! data: nothing says how often people ask them.

use crate::store::intents::IntentKind;
use std::{collections::HashSet, sync::LazyLock};

/// What suggestions are made of.
#[derive(Debug, Clone, Default)]
pub struct Material {
    /// What questions are about, in the words of those who ask.
    pub topics: Vec<String>,
    pub own: Vec<String>,
    pub competitors: Vec<String>,
    /// Places for local questions.
    pub places: Vec<String>,
}

/// A prompt to track, if somebody likes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    pub text: String,
    pub kind: IntentKind,
    /// Name for its intent: phrasings of one question share it.
    pub intent: String,
    pub topic: Option<String>,
    /// It names an own brand, so its answers are counted apart.
    pub branded: bool,
}

struct Template {
    kind: IntentKind,
    language: &'static str,
    text: &'static str,
}

static TEMPLATES: LazyLock<Vec<Template>> = LazyLock::new(|| {
    include_str!("suggestions.tsv")
        .lines()
        .filter_map(|line| {
            let mut cells = line.split('\t');
            let (kind, language, text) = (cells.next()?, cells.next()?, cells.next()?);
            Some(Template { kind: kind_of(kind)?, language, text })
        })
        .collect()
});

/// The languages that there are templates for.
pub fn languages() -> Vec<&'static str> {
    let mut languages: Vec<_> = TEMPLATES.iter().map(|template| template.language).collect();
    languages.sort_unstable();
    languages.dedup();
    languages
}

/// Fills the templates of a language with what there is; texts in `known` (lower case) are left
/// out. One round takes one text of every template, so that a short list is a broad one.
pub(crate) fn suggest(
    material: &Material,
    language: &str,
    kinds: &[IntentKind],
    known: &HashSet<String>,
    limit: usize,
) -> Vec<Suggestion> {
    let wanted = TEMPLATES.iter().filter(|template| {
        template.language == language && (kinds.is_empty() || kinds.contains(&template.kind))
    });
    let filled: Vec<Vec<Suggestion>> = wanted.map(|template| fill(template, material)).collect();
    let rounds = filled.iter().map(Vec::len).max().unwrap_or(0);
    let mut seen = known.clone();
    (0..rounds)
        .flat_map(|round| filled.iter().filter_map(move |texts| texts.get(round)))
        .filter(|suggestion| seen.insert(suggestion.text.to_lowercase()))
        .take(limit)
        .cloned()
        .collect()
}

fn fill(template: &Template, material: &Material) -> Vec<Suggestion> {
    let mut made = vec![Suggestion {
        text: template.text.to_owned(),
        kind: template.kind,
        intent: name_of(template.kind).to_owned(),
        topic: None,
        branded: template.text.contains("{brand}"),
    }];
    for (hole, values) in [
        ("{topic}", &material.topics),
        ("{brand}", &material.own),
        ("{competitor}", &material.competitors),
        ("{place}", &material.places),
    ] {
        if !template.text.contains(hole) {
            continue;
        }
        made = made
            .iter()
            .flat_map(|before| {
                values.iter().map(move |value| Suggestion {
                    text: before.text.replace(hole, value),
                    intent: format!("{} {value}", before.intent),
                    topic: before
                        .topic
                        .clone()
                        .or_else(|| (hole == "{topic}").then(|| value.clone())),
                    ..before.clone()
                })
            })
            .collect();
    }
    made
}

const KINDS: [(&str, IntentKind); 9] = [
    ("best", IntentKind::Best),
    ("alternatives", IntentKind::Alternatives),
    ("pricing", IntentKind::Pricing),
    ("versus", IntentKind::Versus),
    ("how to", IntentKind::HowTo),
    ("brand", IntentKind::Brand),
    ("local", IntentKind::Local),
    ("review", IntentKind::Review),
    ("other", IntentKind::Other),
];

fn kind_of(name: &str) -> Option<IntentKind> {
    KINDS.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
}

fn name_of(kind: IntentKind) -> &'static str {
    KINDS.iter().find(|(_, known)| *known == kind).map_or("other", |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn material() -> Material {
        Material {
            topics: vec!["CRM".into(), "help desk".into()],
            own: vec!["Acme".into()],
            competitors: vec!["Rival".into()],
            places: vec![],
        }
    }

    #[test]
    fn every_line_is_a_template_and_every_hole_is_known() {
        let lines = include_str!("suggestions.tsv").lines().count();
        assert_eq!(TEMPLATES.len(), lines);
        for template in TEMPLATES.iter() {
            let mut text = template.text.to_owned();
            for hole in ["{topic}", "{brand}", "{competitor}", "{place}"] {
                text = text.replace(hole, "");
            }
            assert!(!text.contains(['{', '}']), "{}", template.text);
        }
    }

    #[test]
    fn suggestions_repeat_themselves_and_nothing_that_is_tracked() {
        let none = HashSet::new();
        let first = suggest(&material(), "en", &[], &none, 100);
        assert_eq!(first, suggest(&material(), "en", &[], &none, 100));
        assert!(first.iter().all(|found| !found.text.contains('{')));
        assert!(first.iter().any(|found| found.branded && found.text.contains("Acme")));
        // Nothing is said of places without places.
        assert!(first.iter().all(|found| found.kind != IntentKind::Local));

        let known = HashSet::from([first[0].text.to_lowercase()]);
        let second = suggest(&material(), "en", &[], &known, 100);
        assert_eq!(second.len(), first.len() - 1);
        assert!(suggest(&Material::default(), "en", &[], &none, 100).is_empty());
        let best = suggest(&material(), "en", &[IntentKind::Best], &none, 3);
        assert!(best.len() == 3 && best.iter().all(|found| found.kind == IntentKind::Best));
    }
}
