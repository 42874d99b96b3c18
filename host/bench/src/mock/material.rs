//! Names and phrases that answers are made of.

use super::dice::Dice;
use std::fmt::Write;

/// Products with their sites, as they occur in answers about project management. The workspace of
/// the benchmark tracks the first six.
pub(super) const PRODUCTS: [(&str, &str); 12] = [
    ("Asana", "asana.com"),
    ("Trello", "trello.com"),
    ("Monday.com", "monday.com"),
    ("Notion", "notion.so"),
    ("ClickUp", "clickup.com"),
    ("Wrike", "wrike.com"),
    ("Smartsheet", "smartsheet.com"),
    ("Basecamp", "basecamp.com"),
    ("Airtable", "airtable.com"),
    ("Jira", "atlassian.com"),
    ("Linear", "linear.app"),
    ("Todoist", "todoist.com"),
];

const SITES: [&str; 12] = [
    "tools-weekly.example",
    "team-reviews.example",
    "planning-lab.example",
    "www.office-notes.example",
    "software-compass.example",
    "the-kanban-post.example",
    "forum.builders.example",
    "en.encyclopedia.example",
    "video.clips.example",
    "startup-desk.example",
    "www.remote-life.example",
    "news.workday.example",
];

const PAGES: [&str; 6] =
    ["best-planners", "comparison", "pricing-explained", "a-year-with", "migration-guide", "faq"];

const CLAUSES: [&str; 14] = [
    "keeps the work of a small team in one place and is quick to learn",
    "has the best free plan of all that we looked at",
    "draws timelines, boards and calendars from the same tasks",
    "is reliable even with ten thousand open tasks",
    "is slow to load when a workspace has grown for years",
    "charges for every guest, which makes it expensive for agencies",
    "is recommended by most of the consultants who were asked",
    "automates reminders, hand-overs and recurring reports",
    "has a cluttered start page, but a leading search",
    "connects to chat, mail, storage and some two hundred other services",
    "is excellent where several departments plan against one budget",
    "offers forms, goals and workload views in its higher plans",
    "lacks an offline mode, which travellers will miss",
    "got a generous discount for schools and charities this year",
];

/// A product's name.
pub(super) fn product(dice: &mut Dice) -> &'static str {
    // The well known come up more often.
    let at = dice.below(PRODUCTS.len()).min(dice.below(PRODUCTS.len()));
    PRODUCTS[at].0
}

pub(super) fn clause(dice: &mut Dice) -> &'static str {
    dice.pick(&CLAUSES)
}

/// How sentences go on about what was named before.
const SUBJECTS: [&str; 4] = ["It", "This planner", "The same tool", "That service"];

/// `count` sentences, some of which name a product.
pub(super) fn sentences(dice: &mut Dice, count: usize) -> String {
    let mut text = String::new();
    for _ in 0..count {
        if !text.is_empty() {
            text.push(' ');
        }
        let subject = if dice.chance(0.3) { product(dice) } else { dice.pick(&SUBJECTS) };
        text.push_str(subject);
        text.push(' ');
        text.push_str(clause(dice));
        text.push('.');
    }
    text
}

/// The host name of a source: that of a product now and then.
pub(super) fn site(dice: &mut Dice) -> &'static str {
    if dice.chance(0.3) { PRODUCTS[dice.below(PRODUCTS.len())].1 } else { dice.pick(&SITES) }
}

pub(super) fn address(dice: &mut Dice) -> String {
    let (site, page, number) = (site(dice), dice.pick(&PAGES), dice.below(1000));
    let tail = if dice.chance(0.25) { "?utm_source=search" } else { "" };
    format!("https://{site}/{page}-{number}{tail}")
}

/// A numbered list of products, with `marker` after each clause.
pub(super) fn ranking(
    dice: &mut Dice,
    entries: usize,
    mut marker: impl FnMut(&mut Dice) -> String,
) -> String {
    let mut text = String::from("These tools come up most often for teams like yours:\n\n");
    for place in 1..=entries {
        let (name, clause) = (product(dice), clause(dice));
        let (marker, more) = (marker(dice), sentences(dice, 1));
        let _ = writeln!(text, "{place}. **{name}** {clause}{marker}. {more}");
    }
    text
}
