use crate::{
    App, Error, Result,
    api::{Body, Caller, Problem, Tag, intents::IntentKind},
    store::{brands, prompts, topics},
    suggestions::{self, Material},
};
use poem_openapi::{Object, OpenApi, payload::Json};
use std::collections::HashSet;

/// What to make suggestions of.
#[derive(Object)]
struct NewSuggestions {
    /// Only these kinds of question.
    #[oai(default, validator(max_items = 20, unique_items))]
    kinds: Vec<IntentKind>,
    /// What questions are about, in the words of those who ask; the workspace's topics when absent.
    #[oai(validator(min_items = 1, max_items = 50, unique_items))]
    topics: Option<Vec<String>>,
    /// Places for local questions.
    #[oai(default, validator(max_items = 50, unique_items))]
    places: Vec<String>,
    /// Language of the questions: `da`, `de`, `en`, `es` or `fr`.
    #[oai(default = "english", validator(max_length = 35))]
    language: String,
    /// How many at most.
    #[oai(default = "fifty", validator(minimum(value = "1"), maximum(value = "500")))]
    limit: u32,
}

/// Prompts that may be worth tracking. Nothing is stored.
#[derive(Object)]
struct SuggestionList {
    data: Vec<Suggestion>,
    /// What the workspace has not declared, so that templates which need it were left out.
    missing: Vec<String>,
}

/// A prompt that may be worth tracking. It comes from a template: nothing is known of how often
/// people ask it.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
struct Suggestion {
    text: String,
    kind: IntentKind,
    /// Name for its intent.
    intent: String,
    topic: Option<String>,
    /// It names an own brand, so its answers are counted apart.
    branded: bool,
    language: String,
}

fn english() -> String {
    "en".into()
}

fn fifty() -> u32 {
    50
}

pub(in crate::api) struct Api(pub(in crate::api) App);

#[OpenApi(tag = "Tag::Prompts")]
impl Api {
    /// Suggest prompts
    ///
    /// From templates, the workspace's brands and its topics. The same workspace gets the same
    /// ones; prompts that it tracks are left out. Import those you like.
    #[oai(path = "/prompts/suggest", method = "post", operation_id = "suggest_prompts")]
    async fn suggest(
        &self,
        caller: Caller,
        wanted: Body<NewSuggestions>,
    ) -> Result<Json<SuggestionList>, Problem> {
        let NewSuggestions { kinds, topics, places, language, limit } = wanted.0;
        let languages = suggestions::languages();
        if !languages.contains(&language.as_str()) {
            let detail = format!("there are templates in {}", languages.join(", "));
            return Err(Error::invalid("/language", detail).into());
        }
        let all = i64::from(i32::MAX);
        let mut conn = self.0.store.read().await?;
        let tracked = brands::tracked(&mut conn, caller.workspace).await?;
        let topics = if let Some(topics) = topics {
            topics
        } else {
            let topics = topics::list(&mut conn, caller.workspace, None, all).await?;
            topics.into_iter().map(|topic| topic.name).collect()
        };
        let groups = prompts::groups(&mut conn, caller.workspace).await?;
        drop(conn);
        let known: HashSet<String> =
            groups.into_iter().map(|prompt| prompt.text.to_lowercase()).collect();
        let names = |kind| {
            let of = tracked.iter().filter(|brand| brand.kind == kind);
            of.map(|brand| brand.name.clone()).collect::<Vec<_>>()
        };
        let material = Material {
            topics,
            own: names(brands::BrandKind::Own),
            competitors: names(brands::BrandKind::Competitor),
            places,
        };
        let missing = [
            ("topics", &material.topics),
            ("own brands", &material.own),
            ("competitors", &material.competitors),
            ("places", &material.places),
        ];
        let missing = missing.into_iter().filter(|(_, values)| values.is_empty());
        let missing = missing.map(|(name, _)| name.to_owned()).collect();
        let kinds: Vec<_> = kinds.into_iter().map(Into::into).collect();
        let found = suggestions::suggest(&material, &language, &kinds, &known, limit as usize);
        let data = found.into_iter().map(|found| Suggestion::of(found, &language)).collect();
        Ok(Json(SuggestionList { data, missing }))
    }
}

impl Suggestion {
    fn of(found: suggestions::Suggestion, language: &str) -> Self {
        let suggestions::Suggestion { text, kind, intent, topic, branded } = found;
        let language = language.to_owned();
        Suggestion { text, kind: kind.into(), intent, topic, branded, language }
    }
}
