//! `aiv plugin …`: what an author does with a component before an operator puts it in service.

use super::print;
use aiv_runtime::{Admission, LoadError, compile_child};
use serde_json::json;
use std::{io, path::PathBuf, process::ExitCode};

mod build;
mod dev;
mod inspect;
mod new;
mod project;
mod publish;
mod record;
mod sign;
mod test;
mod workbench;

use self::{build::MissingTool, workbench::Workbench};

#[derive(Debug, clap::Subcommand)]
pub(super) enum PluginCommand {
    /// Write a project with a provider that builds, its SDK and its cases.
    New(new::New),
    /// Build a project's component with its language's own tool and check it; exit status 3 when
    /// the tool is missing.
    Build(build::Build),
    /// Show what a component is and what it asks for.
    Inspect(Component),
    /// Check a component like an upload, and say what to mind before granting anything.
    Check(Component),
    /// Run conformance cases against a component, or record one; exit status 1 when one fails.
    Test(Box<test::Test>),
    /// Build, test, and put in service for one workspace of a host.
    Dev(dev::Dev),
    /// Make the key of a publisher, and print its public half.
    Keygen(sign::Keygen),
    /// Sign a component, and print the signature.
    Sign(sign::Sign),
    /// Upload a component to a host.
    Publish(publish::Publish),
    /// Compile a component from standard input to standard output.
    #[command(hide = true)]
    Compile,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Component {
    /// The component, a `.wasm` file.
    component: PathBuf,
}

impl PluginCommand {
    pub(super) async fn run(self, json: bool) -> anyhow::Result<ExitCode> {
        let done = match self {
            Self::New(new) => new.run(json),
            Self::Build(build) => build.run(json).await,
            Self::Inspect(Component { component }) => inspect::run(&component, json).await,
            Self::Check(component) => component.check(json).await,
            Self::Test(test) => test.run(json).await,
            Self::Dev(dev) => dev.run(json).await,
            Self::Keygen(keygen) => keygen.run(json),
            Self::Sign(sign) => sign.run(json),
            Self::Publish(publish) => publish.run(json).await,
            Self::Compile => {
                compile_child(io::stdin().lock(), io::stdout().lock())?;
                Ok(ExitCode::SUCCESS)
            }
        };
        match done {
            Err(err) if err.is::<MissingTool>() => {
                super::note(format_args!("error: {err}"));
                Ok(MissingTool::EXIT.into())
            }
            done => done,
        }
    }
}

impl Component {
    async fn check(&self, json: bool) -> anyhow::Result<ExitCode> {
        let workbench = Workbench::new()?;
        let admitted = workbench.runtime.admit(&workbench::read(&self.component)?).await;
        if json {
            let verdict = match &admitted {
                Ok(Admission { digest, warnings, .. }) => {
                    json!({ "ok": true, "digest": digest, "warnings": warnings })
                }
                Err(err) => json!({ "ok": false, "error": err.to_string() }),
            };
            print(verdict)?;
        } else {
            say(&admitted)?;
        }
        Ok(if admitted.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// What admission found, for a person.
fn say(admitted: &Result<Admission, LoadError>) -> io::Result<()> {
    match admitted {
        Ok(Admission { manifest, warnings, .. }) => {
            for warning in warnings {
                print(format_args!("mind: {warning}"))?;
            }
            print(format_args!("ok: {} {} can be installed", manifest.key, manifest.version))
        }
        Err(err) => print(format_args!("refused: {err}")),
    }
}
