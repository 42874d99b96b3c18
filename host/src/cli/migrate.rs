use super::print;
use crate::{config::Config, store::Store};
use secrecy::ExposeSecret;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Migrate {
    /// Only say where the schema is; exit 1 when it is behind.
    #[arg(long)]
    status: bool,
}

impl Migrate {
    pub(super) async fn run(self, config: &Config, json: bool) -> anyhow::Result<ExitCode> {
        let store = Store::connect(config.database.url.expose_secret(), 2).await?;
        if !self.status {
            store.migrate().await?;
        }
        let status = store.migration_status().await?;
        store.close().await;
        if json {
            print(serde_json::to_string(&status)?)?;
        } else {
            print(format!("schema version {} of {}", status.applied, status.known))?;
            if !status.is_current() {
                print(status.advice())?;
            }
        }
        Ok(if status.is_current() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
