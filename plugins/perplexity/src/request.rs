//! What is sent to Perplexity.

use aiv_sdk::json::Json;
use aiv_sdk::{HttpRequest, Query, Request, Value};
use serde_json::{Map, json};

use crate::config::Config;
use crate::surface::{PRESETS, Surface};

const HOST: &str = "https://api.perplexity.ai";
const DEFAULT_MAX_OUTPUT_TOKENS: u32 = 4096;

/// A query to the Agent API.
pub(crate) fn agent(query: &Query, surface: Surface, config: &Config) -> HttpRequest {
    let model = surface.model(query, config);
    let is_preset = PRESETS.contains(&model);
    let background = surface == Surface::Background || config.background == Some(true);
    let mut body = Map::new();
    body.insert((if is_preset { "preset" } else { "model" }).into(), json!(model));
    body.insert("input".into(), json!(query.prompt));
    let limit = config.max_output_tokens.or((!is_preset).then_some(DEFAULT_MAX_OUTPUT_TOKENS));
    put(&mut body, "max_output_tokens", limit.map(Json::from));
    put(&mut body, "language_preference", query.primary_language().map(Json::from));
    let tool = search_tool(query, config);
    // A preset brings its own tools; a model does not search unless it is given one.
    let needed = if is_preset { tool.len() > 1 } else { config.web_search != Some(false) };
    put(&mut body, "tools", needed.then(|| json!([tool])));
    let effort = config.reasoning_effort.as_ref();
    put(&mut body, "reasoning", effort.map(|effort| json!({"effort": effort})));
    put(&mut body, "service_tier", config.service_tier.clone().map(Json::from));
    // What is not stored cannot be asked for later.
    body.insert("store".into(), json!(background));
    put(&mut body, "background", background.then_some(json!(true)));
    put(&mut body, "stream", streams(config, background).then_some(json!(true)));
    authorised(Request::post(format!("{HOST}/v1/agent"))).json(&Json::Object(body)).build()
}

fn streams(config: &Config, background: bool) -> bool {
    config.stream == Some(true) && !background
}

fn search_tool(query: &Query, config: &Config) -> Map<String, Json> {
    let mut tool = Map::new();
    tool.insert("type".into(), json!("web_search"));
    put(&mut tool, "search_context_size", config.search_context_size.clone().map(Json::from));
    put(&mut tool, "search_type", config.search_type.clone().map(Json::from));
    put(&mut tool, "max_results", config.max_results.map(Json::from));
    let place = place(query, config);
    put(&mut tool, "user_location", (!place.is_empty()).then_some(Json::Object(place)));
    let mut filters = Map::new();
    put(
        &mut filters,
        "search_recency_filter",
        config.search_recency_filter.clone().map(Json::from),
    );
    put(&mut filters, "search_domain_filter", config.search_domain_filter.clone().map(Json::from));
    put(&mut tool, "filters", (!filters.is_empty()).then_some(Json::Object(filters)));
    tool
}

fn place(query: &Query, config: &Config) -> Map<String, Json> {
    let mut place = Map::new();
    put(&mut place, "country", query.upper_country().map(Json::from));
    put(&mut place, "city", query.place().map(Json::from));
    put(&mut place, "region", config.region.clone().map(Json::from));
    put(&mut place, "latitude", config.latitude.clone());
    put(&mut place, "longitude", config.longitude.clone());
    place
}

/// A query to the retired chat completions.
pub(crate) fn chat(query: &Query, config: &Config) -> HttpRequest {
    let mut options = Map::new();
    put(&mut options, "search_context_size", config.search_context_size.clone().map(Json::from));
    let place = place(query, config);
    put(&mut options, "user_location", (!place.is_empty()).then_some(Json::Object(place)));
    let mut body = Map::new();
    body.insert("model".into(), json!(Surface::Sonar.model(query, config)));
    body.insert("messages".into(), json!([{"role": "user", "content": query.prompt}]));
    put(&mut body, "max_tokens", config.max_output_tokens.map(Json::from));
    put(&mut body, "language_preference", query.primary_language().map(Json::from));
    put(&mut body, "web_search_options", (!options.is_empty()).then_some(Json::Object(options)));
    put(&mut body, "search_recency_filter", config.search_recency_filter.clone().map(Json::from));
    put(&mut body, "search_domain_filter", config.search_domain_filter.clone().map(Json::from));
    put(&mut body, "stream", (config.stream == Some(true)).then_some(json!(true)));
    authorised(Request::post(format!("{HOST}/chat/completions"))).json(&Json::Object(body)).build()
}

/// Asks for an answer that was not ready.
pub(crate) fn poll(id: &str) -> HttpRequest {
    authorised(Request::get(format!("{HOST}/v1/agent")).segment(id)).build()
}

/// The list of models. Free.
pub(crate) fn models() -> HttpRequest {
    authorised(Request::get(format!("{HOST}/v1/models"))).build()
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

    fn body(request: &HttpRequest) -> Json {
        match &request.body {
            Some(Body::Text(text)) => serde_json::from_str(text).unwrap(),
            _ => Json::Null,
        }
    }

    fn ask(query: &Query, config: &str) -> Json {
        let config: Config = serde_json::from_str(config).unwrap();
        body(&agent(query, Surface::of(query).unwrap(), &config))
    }

    #[test]
    fn a_model_is_given_the_search_tool_and_the_prompt_as_it_is() {
        let query = Query {
            language: Some("pt-BR".into()),
            country: Some("br".into()),
            location: Some("Recife".into()),
            ..testing::query("perplexity-agent", "melhor crm?\n")
        };
        let expected = json!({
            "model": "perplexity/sonar",
            "input": "melhor crm?\n",
            "max_output_tokens": 4096,
            "language_preference": "pt",
            "tools": [{"type": "web_search", "user_location": {"country": "BR", "city": "Recife"}}],
            "store": false,
        });
        assert_eq!(ask(&query, "{}"), expected);
    }

    #[test]
    fn a_preset_keeps_its_own_tools_and_limits() {
        let query = Query { model: Some("fast".into()), ..testing::query("perplexity-agent", "q") };
        assert_eq!(ask(&query, "{}"), json!({"preset": "fast", "input": "q", "store": false}));
        let narrowed = ask(&query, r#"{"search_recency_filter": "week"}"#);
        assert_eq!(narrowed["tools"][0]["filters"]["search_recency_filter"], "week");
    }

    #[test]
    fn the_background_is_stored_and_never_streamed() {
        let query = testing::query("perplexity-agent-background", "q");
        let sent = ask(&query, r#"{"stream": true}"#);
        assert_eq!(sent["preset"], "high");
        assert_eq!(sent["store"], true);
        assert_eq!(sent["background"], true);
        assert_eq!(sent.get("stream"), None);
    }

    #[test]
    fn a_search_can_be_left_out() {
        let query = testing::query("perplexity-agent", "q");
        assert_eq!(ask(&query, r#"{"web_search": false}"#).get("tools"), None);
    }

    #[test]
    fn only_the_retired_surface_uses_the_retired_endpoint() {
        let query = testing::query("perplexity-sonar-legacy", "q");
        let request = chat(&query, &Config::default());
        assert_eq!(request.url, "https://api.perplexity.ai/chat/completions");
        let message = json!([{"role": "user", "content": "q"}]);
        assert_eq!(body(&request), json!({"model": "sonar", "messages": message}));
        assert_eq!(poll("../x").url, "https://api.perplexity.ai/v1/agent/..%2Fx");
    }
}
