//! What only a socket can show.

use crate::support::Host;
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

struct Running {
    address: std::net::SocketAddr,
    stop: CancellationToken,
    tasks: JoinSet<anyhow::Result<()>>,
}

async fn run(host: &Host) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(aiv::api::serve(host.app.clone(), listener, true, stop.clone()));
    Running { address, stop, tasks }
}

/// Sends `request` as it is and reads until the other side closes.
async fn talk(address: std::net::SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    let _ = tokio::time::timeout(Duration::from_secs(5), read).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn the_server_answers_refuses_and_stops() {
    let host = Host::start().await;
    let mut server = run(&host).await;
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");

    let alive = talk(server.address, &get("/healthz")).await;
    assert!(alive.starts_with("HTTP/1.1 200"), "{alive}");
    let metrics = talk(server.address, &get("/metrics")).await;
    assert!(metrics.starts_with("HTTP/1.1 200"), "{metrics}");
    for name in [
        "http_requests_total{method=\"GET\",route=\"/healthz\",status=\"200\"}",
        "http_request_duration_seconds_bucket{method=\"GET\",route=\"/healthz\",le=\"2\"}",
        "database_connections_active",
    ] {
        assert!(metrics.contains(name), "{name} is missing in {metrics}");
    }

    // Two lengths, or a length and chunks, are how requests are smuggled.
    for request in [
        "POST /v1/prompts HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
        "POST /v1/prompts HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunk\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n",
    ] {
        let answer = talk(server.address, request).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{request:?}: {answer}");
    }

    // A body of unknown length stops at the limit too.
    let mut chunked = format!(
        "POST /v1/prompts HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n",
        host.key()
    );
    let chunk = "x".repeat(64 * 1024);
    for _ in 0..17 {
        // 64 KiB in hexadecimal.
        chunked.extend(["10000\r\n", &chunk, "\r\n"]);
    }
    chunked.push_str("0\r\n\r\n");
    let answer = talk(server.address, &chunked).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");

    // An idle connection does not hold up the end.
    let idle = TcpStream::connect(server.address).await.unwrap();
    server.stop.cancel();
    let began = Instant::now();
    server.tasks.join_next().await.unwrap().unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_secs(5), "stopping took {:?}", began.elapsed());
    assert!(TcpStream::connect(server.address).await.is_err());
    drop(idle);
}

#[tokio::test]
async fn a_stopping_process_is_not_ready_and_still_alive() {
    let mut host = Host::start().await;
    let mut config = (*host.app.config).clone();
    config.server.shutdown_delay_seconds = 1;
    host.app.config = std::sync::Arc::new(config);
    let mut server = run(&host).await;
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    assert!(talk(server.address, &get("/readyz")).await.starts_with("HTTP/1.1 200"));
    server.stop.cancel();
    let not_ready = talk(server.address, &get("/readyz")).await;
    assert!(not_ready.starts_with("HTTP/1.1 503"), "{not_ready}");
    assert!(talk(server.address, &get("/healthz")).await.starts_with("HTTP/1.1 200"));
    server.tasks.join_next().await.unwrap().unwrap().unwrap();
}
