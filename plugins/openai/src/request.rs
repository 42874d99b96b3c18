//! What is sent to OpenAI.

use aiv_sdk::json::Json;
use aiv_sdk::{HttpRequest, Query, Request, Value};
use serde_json::{Map, json};

use crate::config::Config;

const HOST: &str = "https://api.openai.com";
/// Without it a search tells its queries and not what it found.
const SOURCES: &str = "web_search_call.action.sources";

/// A query.
pub(crate) fn ask(query: &Query, config: &Config) -> HttpRequest {
    let mut body = Map::new();
    body.insert("model".into(), json!(config.model(query)));
    body.insert("input".into(), json!(query.prompt));
    body.insert("tools".into(), json!([search_tool(query, config)]));
    body.insert("include".into(), json!([SOURCES]));
    // The answer is read now, and nowhere else again.
    body.insert("store".into(), json!(false));
    let must = config.require_search == Some(true);
    put(&mut body, "tool_choice", must.then(|| json!("required")));
    put(&mut body, "max_output_tokens", config.max_output_tokens.map(Json::from));
    let effort = config.reasoning_effort.as_ref();
    put(&mut body, "reasoning", effort.map(|effort| json!({"effort": effort})));
    put(&mut body, "service_tier", config.service_tier.clone().map(Json::from));
    authorised(Request::post(format!("{HOST}/v1/responses"))).json(&Json::Object(body)).build()
}

/// The list of models. Free.
pub(crate) fn models() -> HttpRequest {
    authorised(Request::get(format!("{HOST}/v1/models"))).build()
}

fn search_tool(query: &Query, config: &Config) -> Map<String, Json> {
    let mut place = Map::new();
    put(&mut place, "country", query.upper_country().map(Json::from));
    put(&mut place, "city", query.place().map(Json::from));
    put(&mut place, "region", config.region.clone().map(Json::from));
    put(&mut place, "timezone", config.timezone.clone().map(Json::from));
    if !place.is_empty() {
        place.insert("type".into(), json!("approximate"));
    }
    let mut tool = Map::new();
    tool.insert("type".into(), json!("web_search"));
    put(&mut tool, "user_location", (!place.is_empty()).then_some(Json::Object(place)));
    put(&mut tool, "search_context_size", config.search_context_size.clone().map(Json::from));
    let domains = config.allowed_domains.as_ref().filter(|domains| !domains.is_empty());
    put(&mut tool, "filters", domains.map(|domains| json!({"allowed_domains": domains})));
    tool
}

fn authorised(request: Request) -> Request {
    request.header("authorization", Value::prefixed("Bearer ", "api-key"))
}

fn put(map: &mut Map<String, Json>, key: &str, value: Option<Json>) {
    if let Some(value) = value.filter(|value| !value.is_null()) {
        map.insert(key.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use aiv_sdk::{Body, testing};

    use super::*;

    fn sent(query: &Query, config: &str) -> Json {
        match ask(query, &serde_json::from_str(config).unwrap()).body {
            Some(Body::Text(text)) => serde_json::from_str(&text).unwrap(),
            _ => Json::Null,
        }
    }

    #[test]
    fn the_prompt_goes_as_it_is_and_the_place_into_the_tool() {
        let query = Query {
            language: Some("pt-BR".into()),
            country: Some("br".into()),
            location: Some("Recife".into()),
            ..testing::query("openai-responses", "melhor crm?\n")
        };
        let place = json!({"country": "BR", "city": "Recife", "type": "approximate"});
        let expected = json!({
            "model": "gpt-5-mini",
            "input": "melhor crm?\n",
            "tools": [{"type": "web_search", "user_location": place}],
            "include": ["web_search_call.action.sources"],
            "store": false,
        });
        assert_eq!(sent(&query, "{}"), expected);
    }

    #[test]
    fn settings_shape_the_request_and_a_query_wins() {
        let query = Query { model: Some("gpt-5".into()), ..testing::query("", "q") };
        let config = r#"{"model": "gpt-4.1", "require_search": true, "reasoning_effort": "low",
            "allowed_domains": ["a.example"], "search_context_size": "high", "timezone": "Asia/Tokyo"}"#;
        let sent = sent(&query, config);
        assert_eq!(sent["model"], "gpt-5");
        assert_eq!(sent["tool_choice"], "required");
        assert_eq!(sent["reasoning"]["effort"], "low");
        assert_eq!(sent["tools"][0]["filters"]["allowed_domains"][0], "a.example");
        assert_eq!(sent["tools"][0]["search_context_size"], "high");
        assert_eq!(sent["tools"][0]["user_location"]["timezone"], "Asia/Tokyo");
    }

    #[test]
    fn the_key_is_a_placeholder() {
        assert!(format!("{:?}", models()).contains("PrefixedSecret((\"Bearer \", \"api-key\"))"));
    }
}
