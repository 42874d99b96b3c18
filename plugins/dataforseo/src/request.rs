//! What is sent to DataForSEO.

use aiv_sdk::json::Json;
use aiv_sdk::{Failure, HttpRequest, Query, Request, Value};
use serde_json::{Map, json};

use crate::config::Config;
use crate::places;

pub(crate) const HOST: &str = "api.dataforseo.com";

/// Names of languages that differ at Google.
const LANGUAGES: [(&str, &str); 7] = [
    ("zh-hant", "zh-TW"),
    ("zh-tw", "zh-TW"),
    ("zh-hk", "zh-TW"),
    ("zh", "zh-CN"),
    ("nb", "no"),
    ("nn", "no"),
    ("fil", "tl"),
];

/// The search of a query.
pub(crate) fn search(query: &Query, config: &Config) -> Result<HttpRequest, Failure> {
    let mut task = Map::new();
    task.insert("keyword".into(), json!(query.prompt));
    task.insert("language_code".into(), json!(language(query)));
    if let Some(place) = query.place() {
        // Their names of places have no spaces after the commas.
        let parts: Vec<&str> = place.split(',').map(str::trim).collect();
        task.insert("location_name".into(), json!(parts.join(",")));
    } else {
        let code = config.location_code.map_or_else(|| country(query), Ok)?;
        task.insert("location_code".into(), json!(code));
    }
    let device = query.device.as_deref().map(str::trim).filter(|device| !device.is_empty());
    task.insert("device".into(), json!(device.unwrap_or("desktop")));
    put(&mut task, "os", config.os.clone().map(Json::from));
    put(&mut task, "se_domain", config.se_domain.clone().map(Json::from));
    let wait = config.wait_for_overview != Some(false);
    put(&mut task, "load_async_ai_overview", wait.then_some(json!(true)));
    let url = format!("https://{HOST}/v3/serp/google/organic/live/advanced");
    Ok(authorised(Request::post(url)).json(&json!([task])).build())
}

/// The account with its balance. Free.
pub(crate) fn account() -> HttpRequest {
    authorised(Request::get(format!("https://{HOST}/v3/appendix/user_data"))).build()
}

fn country(query: &Query) -> Result<u32, Failure> {
    let country = query.upper_country().unwrap_or_else(|| "US".to_owned());
    places::location_code(&country)
        .ok_or_else(|| Failure::invalid(format!("{country} is no country of ISO 3166-1")))
}

/// Google's code: that of language and script or region, else of the language.
fn language(query: &Query) -> String {
    let Some(primary) = query.primary_language() else { return "en".to_owned() };
    let tag = query.language.as_deref().unwrap_or_default().trim().to_ascii_lowercase();
    let tag = tag.replace('_', "-");
    let head: Vec<&str> = tag.splitn(3, '-').take(2).collect();
    let known = |name: &str| LANGUAGES.iter().find(|(from, _)| *from == name);
    let found = known(&head.join("-")).or_else(|| known(&primary));
    found.map_or(primary.clone(), |(_, to)| (*to).to_owned())
}

fn authorised(request: Request) -> Request {
    request.header("authorization", Value::prefixed("Basic ", "credentials"))
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

    fn task(query: &Query, config: &str) -> Json {
        let request = search(query, &serde_json::from_str(config).unwrap()).unwrap();
        let Some(Body::Text(text)) = request.body else { return Json::Null };
        serde_json::from_str::<Json>(&text).unwrap()[0].take()
    }

    #[test]
    fn a_query_without_a_place_is_asked_in_america() {
        let expected = json!({
            "keyword": "best crm?\n",
            "language_code": "en",
            "location_code": 2840,
            "device": "desktop",
            "load_async_ai_overview": true,
        });
        assert_eq!(task(&testing::query("", "best crm?\n"), "{}"), expected);
    }

    #[test]
    fn a_place_wins_over_the_country() {
        let query = Query {
            language: Some("zh_Hant_HK".into()),
            country: Some("us".into()),
            location: Some("Austin, Texas, United States".into()),
            device: Some("mobile".into()),
            ..testing::query("google-ai-overview", "q")
        };
        let sent = task(&query, r#"{"wait_for_overview": false, "os": "android"}"#);
        assert_eq!(sent["location_name"], "Austin,Texas,United States");
        assert_eq!(sent.get("location_code"), None);
        assert_eq!(sent["language_code"], "zh-TW");
        assert_eq!(sent["device"], "mobile");
        assert_eq!(sent["os"], "android");
        assert_eq!(sent.get("load_async_ai_overview"), None);
    }

    #[test]
    fn a_country_that_is_none_is_refused() {
        let query = Query { country: Some("XX".into()), ..testing::query("", "q") };
        let failure = search(&query, &Config::default()).unwrap_err();
        assert_eq!(failure.kind, aiv_sdk::ErrorKind::InvalidRequest);
        let placed = task(&query, r#"{"location_code": 1026201}"#);
        assert_eq!(placed["location_code"], 1_026_201);
    }
}
