//! Plays the vendors until it is told to stop: see [`aiv_bench::mock`].

use aiv_bench::mock::{Control, Mock};
use clap::Parser;
use std::io::{self, Write};
use tokio::signal::unix::{SignalKind, signal};

/// Plays the vendors on loopback: latency, faults and statistics at /__control and /__stats.
#[derive(Debug, Parser)]
#[command(name = "aiv-mock-vendors", version, about)]
struct Arguments {
    /// Port to listen on; a free one by default. The address is printed.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// How long every call takes.
    #[arg(long, default_value_t = 0)]
    latency_ms: u64,
    /// Up to this much more.
    #[arg(long, default_value_t = 0)]
    jitter_ms: u64,
    /// Share of Google searches that bring only a token for a second search. About 0.37 at the real
    /// one.
    #[arg(long, default_value_t = 0.0)]
    page_token_rate: f64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let Arguments { port, latency_ms, jitter_ms, page_token_rate } = Arguments::parse();
    let mock = Mock::listen(([127, 0, 0, 1], port).into()).await?;
    mock.control(Control { latency_ms, jitter_ms, page_token_rate, ..Control::default() });
    writeln!(io::stdout(), "{}", mock.url())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        () = mock.run() => {}
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
