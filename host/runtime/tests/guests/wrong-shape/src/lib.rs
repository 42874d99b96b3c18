//! Exports the right names with the wrong types.

wit_bindgen::generate!({ path: "wit", world: "provider" });

use exports::aiv::provider::engine::*;

struct WrongShape;

export!(WrongShape);

impl Guest for WrongShape {
    fn describe() -> Manifest {
        Manifest { key: "wrong-shape".into(), shoe_size: 47 }
    }

    fn health_check(config: String) -> Option<String> {
        Some(config)
    }

    fn start(query: String) -> String {
        query
    }

    fn resume(_state: Vec<u8>, event: String) -> String {
        event
    }
}
