use crate::{
    Result,
    api::{
        rules::Rules,
        types::{Clearable, Timestamp},
    },
    store::{prompt_versions, prompts},
};
use poem_openapi::{Enum, Object};
use uuid::Uuid;

/// A question tracked across engines.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub(in crate::api) struct Prompt {
    id: Uuid,
    /// The question, as a person would type it.
    text: String,
    /// Why people ask; phrasings of one intent are counted as one draw.
    intent: Option<String>,
    /// What it is about.
    topic: Option<String>,
    /// Who asks: engines are told the persona's context before the question.
    persona: Option<String>,
    /// Free labels to group prompts by.
    tags: Vec<String>,
    /// BCP 47 tag of the language it is asked in; the engine's own when absent.
    language: Option<String>,
    /// ISO 3166-1 alpha-2 code of the country it is asked from; the engine's own when absent.
    country: Option<String>,
    /// Place it is asked from, in the words of the engine.
    location: Option<String>,
    /// Whether batches ask it.
    active: bool,
    /// Grows when engines are asked something else: answers to different texts are never mixed.
    version: i64,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// A question to track.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub(super) struct NewPrompt {
    /// The question, as a person would type it: 3 to 2000 characters.
    #[oai(validator(min_length = 3, max_length = 2000))]
    pub(super) text: String,
    /// Free name of why people ask. Prompts of one name are phrasings of one intent.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub(super) intent: Option<String>,
    /// Name of what it is about; the topic is made when there is none of that name.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub(super) topic: Option<String>,
    /// Name of the persona who asks, which must exist.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub(super) persona: Option<String>,
    /// Free labels to group prompts by.
    #[oai(default, validator(max_items = 20, unique_items))]
    pub(super) tags: Vec<String>,
    /// BCP 47 tag, such as `en` or `pt-BR`.
    #[oai(validator(max_length = 35))]
    pub(super) language: Option<String>,
    /// ISO 3166-1 alpha-2 code in capitals, such as `DK`.
    #[oai(validator(min_length = 2, max_length = 2))]
    pub(super) country: Option<String>,
    /// Place, in the words of the engine, such as `Austin, Texas, United States`.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub(super) location: Option<String>,
    /// Whether batches ask it.
    #[oai(default = "yes")]
    pub(super) active: bool,
}

/// What to change of a prompt; fields that are absent stay, `null` empties.
#[derive(Object)]
pub(super) struct PromptPatch {
    /// Another text makes another version: series of numbers begin anew.
    #[oai(validator(min_length = 3, max_length = 2000))]
    pub(super) text: Option<String>,
    /// Free name of why people ask.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub(super) intent: Clearable<String>,
    /// Name of what it is about; the topic is made when there is none of that name.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub(super) topic: Clearable<String>,
    /// Name of the persona who asks. Another one makes another version.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub(super) persona: Clearable<String>,
    /// Replaces all tags.
    #[oai(validator(max_items = 20, unique_items))]
    pub(super) tags: Option<Vec<String>>,
    /// BCP 47 tag, such as `en` or `pt-BR`.
    #[oai(validator(max_length = 35))]
    pub(super) language: Clearable<String>,
    /// ISO 3166-1 alpha-2 code in capitals, such as `DK`.
    #[oai(validator(min_length = 2, max_length = 2))]
    pub(super) country: Clearable<String>,
    /// Place, in the words of the engine.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub(super) location: Clearable<String>,
    /// Whether batches ask it.
    pub(super) active: Option<bool>,
}

/// One immutable text of a prompt.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub(super) struct PromptVersion {
    id: Uuid,
    /// From 1.
    version: i64,
    /// What engines are asked: the context of the persona, if there is one, and the question.
    text: String,
    /// The part of the text that the persona says of itself.
    context: Option<String>,
    persona_id: Option<Uuid>,
    created_at: Timestamp,
}

/// What to do with prompts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub(super) enum PromptAction {
    /// Batches ask them.
    Activate,
    /// Batches ask them no more.
    Deactivate,
    /// They are tracked no longer; what was measured with them stays.
    Archive,
    /// Tags are put on and taken off.
    Tag,
}

/// What to do with which prompts.
#[derive(Object)]
pub(super) struct PromptChange {
    pub(super) action: PromptAction,
    #[oai(validator(min_items = 1, max_items = 10000, unique_items))]
    pub(super) prompt_ids: Vec<Uuid>,
    /// With `tag`: tags to put on.
    #[oai(default, validator(max_items = 20, unique_items))]
    pub(super) add_tags: Vec<String>,
    /// With `tag`: tags to take off.
    #[oai(default, validator(max_items = 20, unique_items))]
    pub(super) remove_tags: Vec<String>,
}

/// How many prompts were changed.
#[derive(Object)]
pub(super) struct PromptsChanged {
    pub(super) changed: i64,
}

fn yes() -> bool {
    true
}

impl NewPrompt {
    pub(super) fn checked(self) -> Result<prompts::NewPrompt> {
        let NewPrompt { text, intent, topic, persona, tags, language, country, location, active } =
            self;
        let mut rules = Rules::default();
        let text = text.trim().to_owned();
        let enough = text.chars().count() >= 3;
        rules.require(enough, "/text", "must have 3 characters between its first and last one");
        for (pointer, name) in [("/intent", &intent), ("/topic", &topic), ("/persona", &persona)] {
            if let Some(name) = name {
                rules.name(pointer, name);
            }
        }
        rules.tags("/tags", &tags);
        if let Some(language) = &language {
            rules.language("/language", language);
        }
        if let Some(country) = &country {
            rules.country("/country", country);
        }
        rules.check()?;
        let trimmed = |name: Option<String>| name.map(|name| name.trim().to_owned());
        let (intent, topic, persona) = (trimmed(intent), trimmed(topic), trimmed(persona));
        Ok(prompts::NewPrompt {
            text,
            intent,
            topic,
            persona,
            language,
            country,
            location,
            tags,
            active,
        })
    }
}

impl From<prompts::Prompt> for Prompt {
    fn from(row: prompts::Prompt) -> Self {
        let prompts::Prompt {
            id,
            workspace_id: _,
            intent_id: _,
            intent,
            topic_id: _,
            topic,
            persona_id: _,
            persona,
            context: _,
            version_id: _,
            text,
            language,
            country,
            location,
            tags,
            active,
            version,
            created_at,
            updated_at,
        } = row;
        Prompt {
            id: id.0,
            text,
            intent,
            topic,
            persona,
            tags: tags.0,
            language,
            country,
            location,
            active,
            version,
            created_at: created_at.into(),
            updated_at: updated_at.into(),
        }
    }
}

impl From<prompt_versions::PromptVersion> for PromptVersion {
    fn from(row: prompt_versions::PromptVersion) -> Self {
        let prompt_versions::PromptVersion {
            id,
            workspace_id: _,
            prompt_id: _,
            version,
            text,
            persona_id,
            context,
            created_at,
        } = row;
        let persona_id = persona_id.map(|id| id.0);
        PromptVersion {
            id: id.0,
            version,
            text,
            context,
            persona_id,
            created_at: created_at.into(),
        }
    }
}
