//! What the process says about itself: log lines and metrics.
//!
//! **Invariant:** a metric is touched in [`metrics`] only, together with its log line, so that the
//! two cannot disagree.
//! **Invariant:** no line leaves the process without passing through [`redact`].

use crate::config::{LogFormat, Telemetry};
use std::io::IsTerminal;
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

pub mod memory;
pub mod metrics;
pub mod redact;

/// Starts the log on standard error. Standard output stays free for results.
pub fn init(settings: &Telemetry) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&settings.log)?;
    let terminal = std::io::stderr().is_terminal();
    let format =
        settings.log_format.unwrap_or(if terminal { LogFormat::Text } else { LogFormat::Json });
    let writer = || redact::Redacting::new(std::io::stderr());
    let registry = tracing_subscriber::registry().with(filter);
    match format {
        LogFormat::Text => registry
            .with(fmt::layer().compact().with_ansi(terminal).with_target(false).with_writer(writer))
            .try_init()?,
        LogFormat::Json => {
            registry
                .with(
                    fmt::layer()
                        .json()
                        .flatten_event(true)
                        .with_span_list(false)
                        .with_writer(writer),
                )
                .try_init()?;
        }
    }
    log_panics();
    Ok(())
}

/// A panic is a line of the log like any other, and not a bare text on standard error.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let message = panic.payload_as_str().unwrap_or("a value that is no text");
        tracing::error!(panic.place = place, "panicked at {place}: {message}");
    }));
}
