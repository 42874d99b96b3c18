//! Recorded-style answers, made here: the vendors' wire formats around invented content.
//!
//! The recordings stand at the HTTP boundary, so a demo or a test runs the real components.
//!
//! **Invariant:** the same request with the same seed gets the same answer, on every machine and
//! in every release that leaves `demo.json` and the drafting rules alone.
//!
//! **Invariant:** every brand, source and number is invented; names end in `.example`.

mod brave;
mod dice;
mod draft;
mod material;
mod perplexity;
mod serpapi;

use self::{dice::Dice, material::MATERIAL};
use super::transport::{Incoming, Outgoing, Transport, TransportFailure};
use aiv_runtime::types::TransportError;
use futures_util::future::{BoxFuture, ready};
use std::sync::LazyLock;

/// Share of first attempts that meet a vendor in trouble; the second attempt always gets through.
const TROUBLE: f64 = 0.03;

/// What the demo workspace tracks.
#[derive(Debug, Clone)]
pub struct DemoSet {
    /// The brand the workspace belongs to.
    pub brand: DemoBrand,
    pub competitors: Vec<DemoBrand>,
    pub prompts: Vec<DemoPrompt>,
}

#[derive(Debug, Clone)]
pub struct DemoBrand {
    pub name: String,
    pub aliases: Vec<String>,
    pub domains: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct DemoPrompt {
    pub text: String,
    /// Several prompts phrase the same intent.
    pub intent: String,
    pub tags: Vec<String>,
}

static DEMO: LazyLock<DemoSet> = LazyLock::new(|| {
    let mut brands = MATERIAL.brands.iter().map(|brand| DemoBrand {
        name: brand.name.clone(),
        aliases: brand.aliases.clone(),
        domains: brand.domains.clone(),
    });
    let brand = brands.next().expect("the first brand is the workspace's own");
    let prompts = MATERIAL.intents.iter().flat_map(|intent| {
        intent.prompts.iter().map(|text| DemoPrompt {
            text: text.clone(),
            intent: intent.name.clone(),
            tags: intent.tags.clone(),
        })
    });
    DemoSet { brand, competitors: brands.collect(), prompts: prompts.collect() }
});

/// Brands and prompts that the recordings know.
pub fn demo() -> &'static DemoSet {
    &DEMO
}

/// The seed of one sample: the same on every run, unlike anything made from an id.
pub fn seed(prompt: &str, engine: &str, sample: u32) -> u32 {
    Dice::new(&["seed", prompt, engine, &sample.to_string()]).word()
}

/// Answers in place of the vendors.
#[derive(Debug, Default, Clone, Copy)]
pub struct ReplayTransport;

impl Transport for ReplayTransport {
    fn send(&self, request: Outgoing) -> BoxFuture<'_, Result<Incoming, TransportFailure>> {
        Box::pin(ready(answer(&request)))
    }

    fn is_synthetic(&self) -> bool {
        true
    }
}

fn answer(request: &Outgoing) -> Result<Incoming, TransportFailure> {
    let host = request.url.host_str().unwrap_or_default();
    let body = request.body.as_deref().unwrap_or_default();
    let answer = match (host, request.method.as_str(), request.url.path()) {
        ("api.perplexity.ai", "POST", "/v1/agent" | "/v1/responses") => {
            perplexity::agent(body, request.call)
        }
        ("api.perplexity.ai", "GET", "/v1/models") => Some(perplexity::models()),
        ("serpapi.com", "GET", "/search" | "/search.json") => {
            serpapi::search(&request.url, request.call)
        }
        ("serpapi.com", "GET", "/account" | "/account.json") => Some(serpapi::account()),
        ("api.search.brave.com", "POST", "/res/v1/chat/completions") => {
            brave::answers(body, request.call)
        }
        _ => None,
    };
    answer.ok_or_else(|| {
        let reason = format!("there is no recording of {host}{}", request.url.path());
        TransportFailure::new(TransportError::Connect, reason)
    })
}

/// Whether this attempt meets a vendor in trouble.
fn is_in_trouble(engine: &str, prompt: &str, call: super::transport::CallContext) -> bool {
    call.attempt <= 1
        && Dice::new(&["trouble", engine, prompt, &call.seed.to_string()]).chance(TROUBLE)
}

fn json(status: u16, headers: &[(&str, &str)], body: &serde_json::Value) -> Incoming {
    let mut all = vec![("content-type".to_owned(), "application/json".to_owned())];
    all.extend(headers.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())));
    Incoming { status, headers: all, body: body.to_string().into_bytes() }
}

/// Micro-dollars as the decimal dollars that vendors write.
fn dollars(micros: u32) -> f64 {
    f64::from(micros) / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_demo_is_complete() {
        let demo = demo();
        assert_eq!(demo.competitors.len(), 5);
        assert_eq!(demo.prompts.len(), 24);
        let intents: HashSet<_> = demo.prompts.iter().map(|p| &p.intent).collect();
        assert_eq!(intents.len(), 8);
        let texts: HashSet<_> = demo.prompts.iter().map(|p| &p.text).collect();
        assert_eq!(texts.len(), 24);
        for brand in demo.competitors.iter().chain([&demo.brand]) {
            assert!(brand.domains.iter().all(|d| d.ends_with(".example")), "{brand:?}");
        }
        for (url, ..) in &MATERIAL.sources {
            let host = url::Url::parse(url).unwrap().host_str().unwrap().to_owned();
            assert!(host.ends_with(".example"), "{url}");
        }
    }

    #[test]
    fn seeds_differ_by_every_part() {
        let seeds: HashSet<_> =
            [("a", "x", 0), ("a", "x", 1), ("a", "y", 0), ("b", "x", 0), ("ax", "", 0)]
                .map(|(prompt, engine, sample)| seed(prompt, engine, sample))
                .into();
        assert_eq!(seeds.len(), 5);
        assert_eq!(seed("a", "x", 0), seed("a", "x", 0));
    }
}
