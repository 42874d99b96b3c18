//! The `aiv` command: everything an operator does from a terminal.
//!
//! Results go to standard output, as tables on a terminal and as JSON with `--json`; progress and
//! logs go to standard error.

use crate::config::Config;
use clap::{Parser, Subcommand};
use std::{
    fmt::Display,
    io::{self, Write},
    process::ExitCode,
};

mod apply;
mod ask;
mod demo;
mod doctor;
mod job;
mod key;
mod lane;
mod migrate;
mod operator;
mod plugin;
mod provider;
mod queue;
mod report;
mod rotate;
mod serve;
mod target;
mod token;
mod worker;

/// Measures how answer engines name and cite brands.
#[derive(Debug, Parser)]
#[command(name = "aiv", version, about, arg_required_else_help = true)]
struct Cli {
    /// Print JSON instead of text.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API and do the work behind it, in one process or in several.
    Serve(serve::Serve),
    /// Run the main job on recordings and serve the result: no key, no server, no network.
    Demo(demo::Demo),
    /// Ask one engine one question.
    Ask(ask::Ask),
    /// Make, build, check, test, sign and publish provider components.
    #[command(subcommand)]
    Plugin(plugin::PluginCommand),
    /// Install components; put them in service, try them, roll them back.
    #[command(subcommand)]
    Provider(provider::ProviderCommand),
    /// Look at queues; pause, resume and clean them.
    #[command(subcommand)]
    Queue(queue::QueueCommand),
    /// Look at the lanes of queues; limit, pause and unblock them.
    #[command(subcommand)]
    Lane(lane::LaneCommand),
    /// Look at jobs; retry, cancel, promote and purge them.
    #[command(subcommand)]
    Job(job::JobCommand),
    /// Look at worker processes; drain them.
    #[command(subcommand)]
    Worker(worker::WorkerCommand),
    /// Make API keys.
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Make and revoke tokens of people.
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Bring a workspace to what a file declares: brands, prompts, engines, schedules, alert rules.
    Apply(apply::Apply),
    /// Write a workspace as a file that `apply` reads.
    Export(apply::Export),
    /// Bring the database schema up to date.
    Migrate(migrate::Migrate),
    /// Check everything that `serve` needs.
    Doctor(doctor::Doctor),
    /// Print the OpenAPI document of the API.
    Openapi,
    /// Settings: names, meanings, defaults.
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Read the settings and say what is wrong with them.
    Check,
    /// Print a documented configuration file.
    Template,
}

/// Runs the command line; what fails is printed with its causes.
pub async fn run() -> ExitCode {
    let cli = Cli::parse();
    match execute(cli).await {
        Ok(code) => code,
        Err(err) => {
            let _ = writeln!(io::stderr(), "error: {err:#}");
            ExitCode::FAILURE
        }
    }
}

async fn execute(cli: Cli) -> anyhow::Result<ExitCode> {
    let Cli { json, command } = cli;
    match command {
        Command::Serve(serve) => serve.run(Config::load()?).await,
        Command::Demo(demo) => demo.run(Config::load()?, json).await,
        Command::Ask(ask) => ask.run(Config::load()?, json).await,
        Command::Plugin(command) => command.run(json).await,
        Command::Provider(command) => command.run(Config::load()?, json).await,
        Command::Queue(command) => command.run(Config::load()?, json).await,
        Command::Lane(command) => command.run(Config::load()?, json).await,
        Command::Job(command) => command.run(Config::load()?, json).await,
        Command::Worker(command) => command.run(Config::load()?, json).await,
        Command::Key(command) => command.run(Config::load()?, json).await,
        Command::Token(command) => command.run(Config::load()?, json).await,
        Command::Apply(apply) => apply.run(json).await,
        Command::Export(export) => export.run().await,
        Command::Migrate(migrate) => migrate.run(&Config::load()?, json).await,
        Command::Doctor(doctor) => doctor.run(&Config::load()?, json).await,
        Command::Openapi => {
            print(serde_json::to_string_pretty(&crate::api::openapi())?)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Config(ConfigCommand::Check) => {
            print(format!("{:#?}", Config::load()?))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Config(ConfigCommand::Template) => {
            print(Config::template())?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Writes a line of the result. A reader that went away, such as `head`, is no error.
fn print(line: impl Display) -> io::Result<()> {
    match writeln!(io::stdout().lock(), "{line}") {
        Err(err) if err.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Writes a line for the person at the terminal, beside the result.
fn note(line: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}
