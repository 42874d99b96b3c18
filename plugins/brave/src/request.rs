//! What is sent to Brave.

use aiv_sdk::json::Json;
use aiv_sdk::{HttpRequest, Query, Request, Value};
use serde_json::{Map, json};

use crate::Surface;
use crate::config::Config;

const BASE: &str = "https://api.search.brave.com/res/v1";

/// Languages that web search names in its own way, by tag or by language alone.
const SEARCH_LANGUAGES: [(&str, &str); 9] = [
    ("ja", "jp"),
    ("zh-hant", "zh-hant"),
    ("zh-tw", "zh-hant"),
    ("zh-hk", "zh-hant"),
    ("zh", "zh-hans"),
    ("pt-br", "pt-br"),
    ("pt", "pt-pt"),
    ("en-gb", "en-gb"),
    ("no", "nb"),
];

/// A query to Answers. Citations need a stream, and research excludes them.
pub(crate) fn answers(query: &Query, surface: Surface, config: &Config) -> HttpRequest {
    let research = surface == Surface::Research;
    let stream = research || config.stream != Some(false);
    let mut body = Map::new();
    body.insert("model".into(), json!(model(query)));
    body.insert("messages".into(), json!([{"role": "user", "content": query.prompt}]));
    body.insert("stream".into(), json!(stream));
    put(&mut body, "enable_citations", (stream && !research).then_some(json!(true)));
    put(&mut body, "enable_research", research.then_some(json!(true)));
    put(&mut body, "country", query.upper_country().map(Json::from));
    put(&mut body, "language", query.primary_language().map(Json::from));
    put(&mut body, "safesearch", config.safesearch.clone().map(Json::from));
    put(&mut body, "max_completion_tokens", config.max_completion_tokens.map(Json::from));
    let mut place = Map::new();
    put(&mut place, "country", query.upper_country().map(Json::from));
    put(&mut place, "city", query.place().map(Json::from));
    put(&mut place, "region", config.region.clone().map(Json::from));
    put(&mut place, "timezone", config.timezone.clone().map(Json::from));
    let mut options = Map::new();
    put(&mut options, "search_context_size", config.search_context_size.clone().map(Json::from));
    let location = (!place.is_empty()).then(|| json!({"approximate": place}));
    put(&mut options, "user_location", location);
    put(&mut body, "web_search_options", (!options.is_empty()).then_some(Json::Object(options)));
    authorised(Request::post(format!("{BASE}/chat/completions"))).json(&Json::Object(body)).build()
}

/// The model that is asked for.
pub(crate) fn model(query: &Query) -> &str {
    query.model.as_deref().filter(|model| !model.is_empty()).unwrap_or("brave")
}

/// The search of the summarizer, which tells the key of a summary if there is one.
pub(crate) fn web_search(query: &Query, config: &Config) -> HttpRequest {
    let request = Request::get(format!("{BASE}/web/search"))
        .query("q", query.prompt.as_str())
        .query("summary", "1")
        .query_opt("country", query.upper_country())
        .query_opt("search_lang", search_language(query))
        .query_opt("safesearch", config.safesearch.as_deref())
        // A copy would make repeated samples equal.
        .header("cache-control", "no-cache");
    authorised(request).build()
}

/// The summary that belongs to a key.
pub(crate) fn summary(key: &str) -> HttpRequest {
    let request = Request::get(format!("{BASE}/summarizer/search"))
        .query("key", key)
        .query("inline_references", "1")
        .query("entity_info", "1");
    authorised(request).build()
}

fn authorised(request: Request) -> Request {
    request.header("x-subscription-token", Value::secret("api-key"))
}

fn search_language(query: &Query) -> Option<String> {
    let primary = query.primary_language()?;
    let tag = query.language.as_deref()?.trim().to_ascii_lowercase().replace('_', "-");
    let head: Vec<&str> = tag.splitn(3, '-').take(2).collect();
    let known = |name: &str| SEARCH_LANGUAGES.iter().find(|(from, _)| *from == name);
    let found = known(&head.join("-")).or_else(|| known(&primary));
    Some(found.map_or(primary.clone(), |(_, to)| (*to).to_owned()))
}

fn put(map: &mut Map<String, Json>, key: &str, value: Option<Json>) {
    if let Some(value) = value {
        map.insert(key.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use aiv_sdk::{Body, testing};

    use super::*;

    fn ask(query: &Query, config: &str) -> Json {
        let config: Config = serde_json::from_str(config).unwrap();
        match answers(query, Surface::of(query).unwrap(), &config).body {
            Some(Body::Text(text)) => serde_json::from_str(&text).unwrap(),
            _ => Json::Null,
        }
    }

    #[test]
    fn an_answer_is_streamed_with_citations() {
        let query = Query {
            language: Some("de-AT".into()),
            country: Some("at".into()),
            location: Some("Graz".into()),
            ..testing::query("brave-answers", "bestes crm?")
        };
        let expected = json!({
            "model": "brave",
            "messages": [{"role": "user", "content": "bestes crm?"}],
            "stream": true,
            "enable_citations": true,
            "country": "AT",
            "language": "de",
            "web_search_options":
                {"user_location": {"approximate": {"country": "AT", "city": "Graz"}}},
        });
        assert_eq!(ask(&query, "{}"), expected);
    }

    #[test]
    fn citations_are_never_asked_for_where_brave_refuses_them() {
        let research = ask(&testing::query("brave-research", "q"), r#"{"stream": false}"#);
        assert_eq!(
            (&research["stream"], &research["enable_research"]),
            (&json!(true), &json!(true))
        );
        assert_eq!(research.get("enable_citations"), None);
        let blocking = ask(&testing::query("brave-answers", "q"), r#"{"stream": false}"#);
        assert_eq!(blocking["stream"], false);
        assert_eq!(blocking.get("enable_citations"), None);
    }

    #[test]
    fn web_search_has_its_own_languages() {
        let code = |tag: &str| {
            let language = Some(tag.to_owned());
            search_language(&Query { language, ..testing::query("brave-summarizer", "q") })
        };
        assert_eq!(code("ja-JP").as_deref(), Some("jp"));
        assert_eq!(code("zh-Hans-CN").as_deref(), Some("zh-hans"));
        assert_eq!(code("zh_TW").as_deref(), Some("zh-hant"));
        assert_eq!(code("pt-BR").as_deref(), Some("pt-br"));
        assert_eq!(code("de").as_deref(), Some("de"));
        assert_eq!(code(""), None);
    }
}
