//! What is sent to SerpApi. The key is a query parameter there.

use aiv_sdk::{HttpRequest, Query, Request, Value};

use crate::Surface;
use crate::config::Config;

const HOST: &str = "https://serpapi.com";
/// Everything that `response` reads.
const FIELDS: &str = "ai_overview,related_questions,search_metadata,search_parameters,\
                      search_information,error";

/// Names of languages that differ at Google.
const LANGUAGES: [(&str, &str); 12] = [
    ("he", "iw"),
    ("jv", "jw"),
    ("nb", "no"),
    ("nn", "no"),
    ("fil", "tl"),
    ("zh-hant", "zh-TW"),
    ("zh-tw", "zh-TW"),
    ("zh-hk", "zh-TW"),
    ("zh", "zh-CN"),
    ("pt-br", "pt-br"),
    ("pt-pt", "pt-pt"),
    ("es-419", "es-419"),
];

/// The first search of a query.
pub(crate) fn search(query: &Query, surface: Surface, config: &Config) -> HttpRequest {
    let engine = match surface {
        Surface::Overview => "google",
        Surface::Mode => "google_ai_mode",
    };
    let uule = config.uule.as_deref().filter(|uule| !uule.is_empty());
    // SerpApi refuses the two together.
    let place = query.place().filter(|_| uule.is_none());
    let device = query.device.as_deref().filter(|device| !device.is_empty()).unwrap_or("desktop");
    let restrict = config.restrict_fields == Some(true) && surface == Surface::Overview;
    let request = Request::get(format!("{HOST}/search.json"))
        .query("engine", engine)
        .query("q", query.prompt.as_str())
        // Without them Google decides by the address of the machine that searches.
        .query("gl", country(query))
        .query("hl", language(query))
        .query("device", device)
        .query_opt("google_domain", config.google_domain.as_deref())
        .query_opt("location", place)
        .query_opt("uule", uule)
        .query_opt("json_restrictor", restrict.then_some(FIELDS));
    finish(request, config)
}

/// The second search, which brings the overview.
pub(crate) fn overview(page_token: &str, config: &Config) -> HttpRequest {
    let request = Request::get(format!("{HOST}/search.json"))
        .query("engine", "google_ai_overview")
        .query("page_token", page_token);
    finish(request, config)
}

/// The result of a search that was not finished when it was sent. Free.
pub(crate) fn archived(id: &str) -> HttpRequest {
    let request = Request::get(format!("{HOST}/searches")).segment(&format!("{id}.json"));
    request.query("api_key", Value::secret("api-key")).build()
}

/// The account's quota. Free.
pub(crate) fn account() -> HttpRequest {
    let request = Request::get(format!("{HOST}/account.json"));
    request.query("api_key", Value::secret("api-key")).build()
}

fn finish(request: Request, config: &Config) -> HttpRequest {
    let fresh = config.allow_cache != Some(true);
    request
        .query_opt("no_cache", fresh.then_some("true"))
        .query("api_key", Value::secret("api-key"))
        .build()
}

fn country(query: &Query) -> String {
    match query.upper_country().as_deref() {
        None => "us".to_owned(),
        Some("GB") => "uk".to_owned(),
        Some(country) => country.to_ascii_lowercase(),
    }
}

/// Google's code: that of the whole tag, else of language and script, else of the language.
fn language(query: &Query) -> String {
    let Some(primary) = query.primary_language() else { return "en".to_owned() };
    let tag = query.language.as_deref().unwrap_or_default().trim().to_ascii_lowercase();
    let tag = tag.replace('_', "-");
    let head: Vec<&str> = tag.splitn(3, '-').take(2).collect();
    let known = |name: &str| LANGUAGES.iter().find(|(from, _)| *from == name);
    known(&tag)
        .or_else(|| known(&head.join("-")))
        .or_else(|| known(&primary))
        .map_or(primary.clone(), |(_, to)| (*to).to_owned())
}

#[cfg(test)]
mod tests {
    use aiv_sdk::testing;

    use super::*;

    fn locale(tag: &str, country_code: &str) -> (String, String) {
        let query = Query {
            language: Some(tag.to_owned()),
            country: Some(country_code.to_owned()),
            ..testing::query("google-ai-overview", "q")
        };
        (language(&query), country(&query))
    }

    fn config(json: &str) -> Config {
        serde_json::from_str(json).unwrap()
    }

    fn text(request: &HttpRequest, name: &str) -> Option<String> {
        let found = request.query.iter().find(|(key, _)| key == name)?;
        match &found.1 {
            Value::Text(text) => Some(text.clone()),
            secret => Some(format!("{secret:?}")),
        }
    }

    #[test]
    fn google_has_its_own_codes() {
        assert_eq!(locale("he-IL", "IL"), ("iw".into(), "il".into()));
        assert_eq!(locale("zh-Hant-HK", "HK").0, "zh-TW");
        assert_eq!(locale("zh_Hans_CN", "CN").0, "zh-CN");
        assert_eq!(locale("pt-BR", "BR").0, "pt-br");
        assert_eq!(locale("pt-AO", "AO").0, "pt");
        assert_eq!(locale("en-GB", "gb"), ("en".into(), "uk".into()));
        assert_eq!(locale("", ""), ("en".into(), "us".into()));
    }

    #[test]
    fn the_key_is_a_placeholder_and_the_cache_is_off() {
        let query = testing::query("google-ai-overview", "q");
        let request = search(&query, Surface::Overview, &Config::default());
        assert_eq!(text(&request, "api_key").unwrap(), "Value::Secret(\"api-key\")");
        assert_eq!(text(&request, "no_cache").unwrap(), "true");
        assert_eq!(text(&request, "device").unwrap(), "desktop");
        let cheap = config(r#"{"allow_cache": true}"#);
        assert_eq!(text(&search(&query, Surface::Overview, &cheap), "no_cache"), None);
    }

    #[test]
    fn a_place_gives_way_to_an_encoded_one() {
        let place = Some("Austin, Texas, United States".to_owned());
        let query = Query { location: place.clone(), ..testing::query("google-ai-mode", "q") };
        let request = search(&query, Surface::Mode, &Config::default());
        assert_eq!(text(&request, "location"), place);
        assert_eq!(text(&request, "engine").unwrap(), "google_ai_mode");
        let config = config(r#"{"uule": "w+CAIQICI"}"#);
        let request = search(&query, Surface::Mode, &config);
        assert_eq!((text(&request, "location"), text(&request, "uule")), (None, config.uule));
    }
}
