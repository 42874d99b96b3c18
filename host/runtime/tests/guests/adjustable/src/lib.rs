//! A provider whose manifest and behaviour are written into the finished component: whoever needs
//! another version of it changes the bytes of [`SETTINGS`] and has a component with another digest.

wit_bindgen::generate!({ path: "../../../../../wit/provider-0.1", world: "provider" });

use aiv::provider::log::{Level, log};
use aiv::provider::types::{HttpRequest, Outcome, *};
use exports::aiv::provider::engine::*;

struct Adjustable;

export!(Adjustable);

/// `name=value` lines after the mark, filled up with spaces.
#[used]
static SETTINGS: [u8; 512] = settings();

const MARK: &[u8; 24] = b"@@adjustable-settings@@\n";

const fn settings() -> [u8; 512] {
    let mut bytes = [b' '; 512];
    let mut at = 0;
    while at < MARK.len() {
        bytes[at] = MARK[at];
        at += 1;
    }
    bytes
}

/// The value of a setting, or `usual`.
fn setting(name: &str, usual: &str) -> String {
    // SAFETY: reads a static; volatile, because its bytes are changed after the compiler saw them.
    let bytes = unsafe { std::ptr::read_volatile(&raw const SETTINGS) };
    let text = String::from_utf8_lossy(&bytes[MARK.len()..]).into_owned();
    let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    found.map_or(usual, str::trim).to_owned()
}

impl Guest for Adjustable {
    fn describe() -> Manifest {
        if setting("behave", "") == "mute" {
            panic!("cannot describe itself");
        }
        let hosts: Vec<String> =
            setting("hosts", "api.example.com").split(',').map(str::to_owned).collect();
        Manifest {
            key: setting("key", "adjustable"),
            display_name: "Adjustable".into(),
            version: setting("version", "1.0.0"),
            description: "Behaves as it is told.".into(),
            homepage: None,
            credentials: vec![CredentialRequest {
                name: "key".into(),
                description: "A key".into(),
                hosts: hosts.clone(),
            }],
            allowed_hosts: hosts,
            config_schema: r#"{"type": "object"}"#.into(),
            surfaces: vec![Surface {
                id: setting("surface", "adjustable-web"),
                display_name: "Adjustable web".into(),
                models: vec![],
                default_model: None,
                context: ContextSupport {
                    language: true,
                    country: true,
                    city: false,
                    device: false,
                },
                listed_is_visible: true,
                typical_cost_micro_usd: 5_000,
                max_fetches: 3,
                requests_per_second: 100.0,
                burst: 100,
                deadline_ms: 600_000,
            }],
            extra: vec![],
        }
    }

    fn health_check(_config: String) -> Option<HttpRequest> {
        None
    }

    fn start(query: Query) -> Step {
        match setting("behave", "answer").as_str() {
            "trap" => {
                log(Level::Warn, "about to trap");
                panic!("cannot answer {}", query.prompt);
            }
            "pause" => {
                let delay_ms = setting("pause-ms", "1000").parse().unwrap_or(1_000);
                Step::Pause(Pause { state: setting("version", "1.0.0").into_bytes(), delay_ms })
            }
            _ => done(&format!("Asana, says {}.", setting("version", "1.0.0"))),
        }
    }

    fn resume(state: Vec<u8>, _event: Event) -> Step {
        let made_by = String::from_utf8_lossy(&state).into_owned();
        let read_by = setting("version", "1.0.0");
        assert_eq!(made_by, read_by, "the state of another version");
        done(&format!("Asana, says {read_by} after a pause."))
    }
}

fn done(text: &str) -> Step {
    Step::Done(Outcome::Answered(Answer {
        text: text.into(),
        citations: vec![],
        related_questions: vec![],
        meta: Meta {
            surface: setting("surface", "adjustable-web"),
            requested_model: None,
            served_model: None,
            request_id: None,
            finish: FinishReason::Stop,
            retrieval: Retrieval::Unknown,
            queries: vec![],
            usage: None,
            cost: None,
            location_used: None,
            warnings: vec![],
            extra: vec![],
        },
    }))
}
