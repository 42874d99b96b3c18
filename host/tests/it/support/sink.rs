//! A receiver of webhooks on this machine, known to a host under a name.

use aiv::providers::egress::{Egress, Reach, StandIns};
use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// The name that leads to it.
pub(crate) const NAME: &str = "hooks.example.com";

/// A request that it was sent.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    /// By lower-case name.
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
}

pub(crate) struct Sink {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
    _tasks: JoinSet<()>,
}

#[derive(Default)]
struct State {
    /// What to answer next; 204 when there is nothing.
    statuses: VecDeque<u16>,
    received: Vec<Received>,
}

impl Sink {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let mut tasks = JoinSet::new();
        let kept = Arc::clone(&state);
        tasks.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                open.spawn(answer(stream, Arc::clone(&kept)));
            }
        });
        Sink { address, state, _tasks: tasks }
    }

    /// A way out that leads here, and nowhere else.
    pub(crate) fn egress(&self) -> Egress {
        let names = HashMap::from([(NAME.to_owned(), self.address)]);
        Egress::with(Reach { stand_ins: StandIns::Named(names), ..Reach::default() }).unwrap()
    }

    /// Answers the next requests so.
    pub(crate) fn answer(&self, statuses: impl IntoIterator<Item = u16>) {
        self.state.lock().unwrap().statuses.extend(statuses);
    }

    /// What came since this was asked last.
    pub(crate) fn take(&self) -> Vec<Received> {
        std::mem::take(&mut self.state.lock().unwrap().received)
    }
}

/// One request per connection.
async fn answer(stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut stream = BufReader::new(stream);
    let mut headers = HashMap::new();
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return;
        }
        if line == "\r\n" {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            headers.insert(name.to_lowercase(), value.trim().to_owned());
        }
    }
    let length = headers.get("content-length").map_or(0, |text| text.parse().unwrap());
    let mut body = vec![0; length];
    if stream.read_exact(&mut body).await.is_err() {
        return;
    }
    let status = {
        let mut state = state.lock().unwrap();
        state.received.push(Received { headers, body: String::from_utf8(body).unwrap() });
        state.statuses.pop_front().unwrap_or(204)
    };
    let text = if status == 204 { "" } else { "no, thank you" };
    let length = text.len();
    let answer = format!(
        "HTTP/1.1 {status} x\r\ncontent-length: {length}\r\nlocation: https://{NAME}/again\r\n\
         connection: close\r\n\r\n{text}"
    );
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.flush().await;
}
