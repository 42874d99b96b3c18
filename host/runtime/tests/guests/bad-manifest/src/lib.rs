//! Describes itself in ways no operator should accept.

wit_bindgen::generate!({ path: "../../../../../wit/provider-0.1", world: "provider" });

use aiv::provider::types::HttpRequest;
use exports::aiv::provider::engine::*;

struct BadManifest;

export!(BadManifest);

impl Guest for BadManifest {
    fn describe() -> Manifest {
        Manifest {
            key: "Not A Key".into(),
            display_name: String::new(),
            version: "one".into(),
            description: String::new(),
            homepage: None,
            allowed_hosts: vec!["127.0.0.1".into(), "*.example.com".into()],
            credentials: vec![CredentialRequest {
                name: "key".into(),
                description: String::new(),
                hosts: vec!["elsewhere.example".into()],
            }],
            config_schema: "not json".into(),
            surfaces: vec![],
            extra: vec![],
        }
    }

    fn health_check(_config: String) -> Option<HttpRequest> {
        None
    }

    fn start(_query: Query) -> Step {
        unreachable!("nobody gets this far")
    }

    fn resume(_state: Vec<u8>, _event: Event) -> Step {
        unreachable!("nobody gets this far")
    }
}
