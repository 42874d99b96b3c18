//! What can go wrong, whose fault it is, and what to do about it.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::abi;
use crate::digest::Digest;
use crate::types::LogLine;

/// Who has to act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Blame {
    /// The plugin.
    Guest,
    /// This installation.
    Host,
    /// The service behind the plugin.
    Vendor,
}

impl Blame {
    /// The name in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Guest => "guest",
            Self::Host => "host",
            Self::Vendor => "vendor",
        }
    }
}

/// What kind of failure ended a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// The guest panicked, exited or broke a rule of WebAssembly.
    Trap,
    /// The guest used up its CPU time or its time on the wall.
    Timeout,
    /// The guest asked for more memory than its limit.
    OutOfMemory,
    /// The guest does not speak the interface it exports.
    Abi,
    /// The step asks for something the plugin may not do.
    Policy,
    /// Everything else.
    Failed,
}

impl Class {
    /// The name in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trap => "trap",
            Self::Timeout => "timeout",
            Self::OutOfMemory => "out-of-memory",
            Self::Abi => "abi",
            Self::Policy => "policy",
            Self::Failed => "failed",
        }
    }
}

/// The function of the guest that was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Export {
    Describe,
    HealthCheck,
    Start,
    Resume,
}

impl Export {
    /// The name in the WIT.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Describe => "describe",
            Self::HealthCheck => "health-check",
            Self::Start => "start",
            Self::Resume => "resume",
        }
    }
}

/// A step that did not come to an end. The instance is gone, the plugin can be called again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("plugin {digest} {export}: {class}: {message}", digest = .digest.short(), export = .export.as_str(), class = .class.as_str())]
pub struct PluginError {
    pub blame: Blame,
    pub class: Class,
    pub digest: Digest,
    pub export: Export,
    /// For a person; a panic's own text is part of it.
    pub message: String,
    /// Innermost frame first, at most 20.
    pub backtrace: Vec<String>,
    /// The beginning of what the guest wrote to stderr.
    pub stderr: String,
    /// What the guest logged before it failed.
    pub logs: Vec<LogLine>,
}

/// Why a component cannot be used here. The text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(
        "the component has {size} bytes, at most {limit} are accepted: build it for release, strip it, or raise the limit"
    )]
    TooLarge { size: usize, limit: usize },
    #[error("this is WebAssembly text: upload the binary component (`wasm-tools parse` makes one)")]
    Text,
    #[error("this is not WebAssembly: it does not begin with the bytes \\0asm")]
    NotWasm,
    #[error(
        "this is code compiled for one machine (.cwasm): upload the .wasm component it was made from"
    )]
    Precompiled,
    #[error("this is a core module, not a component: build for the target wasm32-wasip2")]
    CoreModule,
    #[error("this is not a valid component: {0}")]
    Invalid(String),
    #[error(
        "this component is asynchronous ({0}), providers are synchronous: rebuild with --sync (JavaScript) or for wasm32-wasip2 (Rust)"
    )]
    Async(String),
    #[error("the component does not export {wanted}: it is not a provider (it exports {found})", wanted = abi::ENGINE, found = list(.exports))]
    NoEngine { exports: Vec<String> },
    #[error("the component was built for {name}@{found}, this host supports {supported}: rebuild it with the SDK for {supported}", supported = abi::SUPPORTED)]
    UnsupportedVersion { name: String, found: String },
    #[error("the component imports {import}: {reason}")]
    ForbiddenImport { import: String, reason: &'static str },
    #[error("the component does not compile: {0}")]
    Compile(String),
    #[error("the component takes more than {0} s of CPU time to compile: make it smaller")]
    CompileCpu(u64),
    #[error("the component did not compile within {0} s: the machine is too busy, try again")]
    CompileTimeout(u64),
    #[error("the compiler process could not be used: {0}")]
    Compiler(String),
    #[error("the component needs more than an instance may have: {0}")]
    Oversized(String),
    #[error("the component does not run: {0}")]
    Probe(#[from] Box<PluginError>),
    #[error("the manifest is not acceptable: {}", problems(.0))]
    Manifest(Vec<ManifestProblem>),
    #[error("the code cache {path} cannot be used: {source}", path = .path.display())]
    Cache { path: PathBuf, source: std::io::Error },
    #[error("the WebAssembly engine does not start: {0}")]
    Engine(String),
}

impl LoadError {
    /// Who has to act: the plugin's author, or whoever runs this host.
    pub fn blame(&self) -> Blame {
        match self {
            Self::Probe(error) => error.blame,
            Self::CompileTimeout(_) | Self::Compiler(_) | Self::Cache { .. } | Self::Engine(_) => {
                Blame::Host
            }
            Self::TooLarge { .. }
            | Self::Text
            | Self::NotWasm
            | Self::Precompiled
            | Self::CoreModule
            | Self::Invalid(_)
            | Self::Async(_)
            | Self::NoEngine { .. }
            | Self::UnsupportedVersion { .. }
            | Self::ForbiddenImport { .. }
            | Self::Compile(_)
            | Self::CompileCpu(_)
            | Self::Oversized(_)
            | Self::Manifest(_) => Blame::Guest,
        }
    }
}

/// One thing wrong with a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestProblem {
    /// Where, such as `surfaces[0].burst`.
    pub at: String,
    pub problem: String,
}

impl fmt::Display for ManifestProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.problem)
    }
}

fn problems(problems: &[ManifestProblem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}
