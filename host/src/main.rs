use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    aiv::cli::run().await
}
