use super::dice::Dice;
use http::{Method, Uri};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, collections::BTreeMap};

/// Who is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Vendor {
    Perplexity,
    Serpapi,
    Brave,
}

/// What kind of answer is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Agent,
    Models,
    ChatCompletion,
    Search,
    /// The second search, which brings the overview of the first.
    Overview,
    Mode,
    Account,
    Answers,
    WebSearch,
    Summary,
}

impl Shape {
    /// Whether it asks a prompt; the others are free.
    pub(super) fn is_asked(self) -> bool {
        !matches!(self, Shape::Models | Shape::Account)
    }
}

/// One call, understood.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) vendor: Vendor,
    pub(super) shape: Shape,
    pub(super) prompt: String,
}

impl Question {
    /// Nothing when no vendor has such an endpoint.
    pub(super) fn read(method: &Method, path: &str, uri: &Uri, body: &[u8]) -> Option<Self> {
        let get = method == Method::GET;
        let query = || -> BTreeMap<Cow<'_, str>, Cow<'_, str>> {
            url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).collect()
        };
        let named = |name: &str| query().remove(name).unwrap_or_default().into_owned();
        let (vendor, shape, prompt) = match path {
            "/v1/agent" | "/v1/responses" if !get => {
                (Vendor::Perplexity, Shape::Agent, Asked::read(body))
            }
            "/chat/completions" if !get => {
                (Vendor::Perplexity, Shape::ChatCompletion, Asked::read(body))
            }
            "/v1/models" if get => (Vendor::Perplexity, Shape::Models, String::new()),
            "/account" | "/account.json" if get => (Vendor::Serpapi, Shape::Account, String::new()),
            "/search" | "/search.json" if get => match query().get("engine").map(Cow::as_ref) {
                Some("google_ai_overview") => {
                    (Vendor::Serpapi, Shape::Overview, prompt_of_token(&named("page_token"))?)
                }
                Some("google_ai_mode") => (Vendor::Serpapi, Shape::Mode, named("q")),
                _ => (Vendor::Serpapi, Shape::Search, named("q")),
            },
            "/res/v1/chat/completions" if !get => {
                (Vendor::Brave, Shape::Answers, Asked::read(body))
            }
            "/res/v1/web/search" if get => (Vendor::Brave, Shape::WebSearch, named("q")),
            "/res/v1/summarizer/search" if get => (Vendor::Brave, Shape::Summary, named("key")),
            _ => return None,
        };
        Some(Self { vendor, shape, prompt })
    }

    /// Which of so many bodies this prompt gets, and the id of its answer.
    pub(super) fn variant(&self, of: usize) -> (usize, String) {
        let mut dice = Dice::new(&[self.prompt.as_bytes()]);
        (dice.below(of), format!("a{:016x}", dice.next()))
    }
}

/// The body of a question, in either way of asking.
#[derive(Deserialize)]
struct Asked<'a> {
    #[serde(borrow, default)]
    input: Cow<'a, str>,
    #[serde(borrow, default)]
    messages: Vec<Message<'a>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    content: Cow<'a, str>,
}

impl Asked<'_> {
    fn read(body: &[u8]) -> String {
        let Ok(asked) = serde_json::from_slice::<Asked<'_>>(body) else { return String::new() };
        let last = asked.messages.into_iter().next_back();
        last.map_or(asked.input, |message| message.content).into_owned()
    }
}

const TOKEN: &str = "page~";

/// The token that leads from the first search to the overview.
pub(super) fn page_token(prompt: &str) -> String {
    format!("{TOKEN}{}", hex::encode(prompt))
}

fn prompt_of_token(token: &str) -> Option<String> {
    String::from_utf8(hex::decode(token.strip_prefix(TOKEN)?).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_brings_back_its_prompt() {
        let prompt = "which \"tool\" für uns?";
        assert_eq!(prompt_of_token(&page_token(prompt)).as_deref(), Some(prompt));
        assert_eq!(prompt_of_token("page~zz"), None);
        assert_eq!(prompt_of_token("other"), None);
    }

    #[test]
    fn the_prompt_is_found_wherever_the_vendor_wants_it() {
        let read = |method: Method, target: &str, body: &str| {
            let uri: Uri = target.parse().unwrap();
            let question = Question::read(&method, uri.path(), &uri, body.as_bytes()).unwrap();
            (question.vendor, question.prompt)
        };
        assert_eq!(
            read(Method::POST, "/v1/agent", r#"{"input": "a \"b\"", "model": "m"}"#),
            (Vendor::Perplexity, "a \"b\"".into())
        );
        assert_eq!(
            read(Method::GET, "/search.json?engine=google&q=a%20b+c", ""),
            (Vendor::Serpapi, "a b c".into())
        );
        let body = r#"{"messages": [{"role": "user", "content": "x"}]}"#;
        assert_eq!(
            read(Method::POST, "/res/v1/chat/completions", body),
            (Vendor::Brave, "x".into())
        );
    }
}
