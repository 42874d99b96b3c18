//! Wants to talk to the network itself.

wit_bindgen::generate!({ path: "../../../../../wit/provider-0.1", world: "provider" });

use std::net::TcpStream;

use aiv::provider::types::HttpRequest;
use exports::aiv::provider::engine::*;

struct Sockets;

export!(Sockets);

impl Guest for Sockets {
    fn describe() -> Manifest {
        unreachable!("nobody gets this far")
    }

    fn health_check(_config: String) -> Option<HttpRequest> {
        None
    }

    fn start(query: Query) -> Step {
        TcpStream::connect(query.prompt).unwrap();
        unreachable!("nobody gets this far")
    }

    fn resume(_state: Vec<u8>, _event: Event) -> Step {
        unreachable!("nobody gets this far")
    }
}
