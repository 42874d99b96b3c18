//! Keys of publishers, and what they sign.

use super::{super::print, workbench};
use crate::providers::signature::SigningKey;
use aiv_runtime::Digest;
use anyhow::{Context, ensure};
use secrecy::ExposeSecret;
use serde_json::json;
use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    process::ExitCode,
};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Keygen {
    /// Where to keep the private key; nobody else can read it.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Sign {
    /// The component, a `.wasm` file.
    component: PathBuf,
    /// The private key: an Ed25519 key as PEM, from `aiv plugin keygen`.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

impl Keygen {
    pub(super) fn run(self, json: bool) -> anyhow::Result<ExitCode> {
        let (key, pem) = SigningKey::generate()?;
        // A key that is there is never written over.
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&self.file)
            .with_context(|| format!("create {}", self.file.display()))?;
        file.write_all(pem.expose_secret().as_bytes())
            .with_context(|| format!("write {}", self.file.display()))?;
        let public = key.public();
        if json {
            print(json!({ "public_key": public }))?;
        } else {
            print(public)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Sign {
    pub(super) fn run(self, json: bool) -> anyhow::Result<ExitCode> {
        let key = read(&self.key)?;
        let digest = Digest::of(&workbench::read(&self.component)?);
        let signature = key.sign(digest);
        if json {
            let signature = signature.to_string();
            print(json!({ "sha256": digest, "signature": signature }))?;
        } else {
            print(signature)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn read(file: &Path) -> anyhow::Result<SigningKey> {
    let name = file.display();
    let known = fs::metadata(file).with_context(|| format!("read {name}"))?;
    let open_to_others = known.permissions().mode() & 0o077;
    ensure!(
        open_to_others == 0,
        "others can read {name}: run `chmod 600 {name}`, or make a new key"
    );
    let pem = fs::read_to_string(file).with_context(|| format!("read {name}"))?;
    SigningKey::of_pem(&pem.into()).with_context(|| format!("read {name}"))
}
