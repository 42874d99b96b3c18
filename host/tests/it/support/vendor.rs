//! Somebody else's server, that a test plays with an endpoint.

use poem::{Endpoint, Server, listener::TcpAcceptor};
use std::net::{SocketAddr, TcpListener};
use tokio::task::JoinSet;

/// Stops when it is dropped.
pub(crate) struct Vendor {
    pub(crate) address: SocketAddr,
    _task: JoinSet<std::io::Result<()>>,
}

impl Vendor {
    pub(crate) fn start(endpoint: impl Endpoint + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = TcpAcceptor::from_std(listener).unwrap();
        let mut task = JoinSet::new();
        task.spawn(Server::new_with_acceptor(acceptor).run(endpoint));
        Self { address, _task: task }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}
