//! From component to machine code, outside this process where it matters.
//!
//! Compiling takes memory and time that the component's author chooses, so the server lets a
//! child of its own binary do it, under limits. Tools and tests may compile in process.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, Signal};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use crate::engine;
use crate::error::LoadError;

/// Address space of the compiling child.
const CHILD_ADDRESS_SPACE: u64 = 1 << 30;
/// CPU time of the compiling child, in seconds: what judges a component, however busy the machine.
const CHILD_CPU_SECONDS: u64 = 60;
/// Time on the wall of the compiling child, should it stand still.
const CHILD_PATIENCE: Duration = Duration::from_mins(5);
/// How far the child steps back behind its parent.
const CHILD_NICE: i32 = 10;
/// Kept bytes of the child's complaint.
const CHILD_STDERR: u64 = 16 << 10;

/// How components are compiled.
#[derive(Debug, Clone)]
pub enum Compiler {
    /// In this process, on a blocking thread.
    InProcess,
    /// In a child that runs [`compile_child`].
    Child {
        program: PathBuf,
        args: Vec<OsString>,
        /// Time on the wall after which the child is killed.
        timeout: Duration,
    },
}

impl Compiler {
    /// A child that has five minutes on the wall; it gives itself one of CPU time.
    pub fn child<A: Into<OsString>>(
        program: impl Into<PathBuf>,
        args: impl IntoIterator<Item = A>,
    ) -> Self {
        Self::Child {
            program: program.into(),
            args: args.into_iter().map(Into::into).collect(),
            timeout: CHILD_PATIENCE,
        }
    }

    /// Serialized machine code of a validated component.
    pub(crate) async fn compile(&self, wasm: Vec<u8>) -> Result<Vec<u8>, LoadError> {
        match self {
            Self::InProcess => tokio::task::spawn_blocking(move || precompile(&wasm))
                .await
                .map_err(|error| LoadError::Compiler(error.to_string()))?,
            Self::Child { program, args, timeout } => {
                let mut command = Command::new(program);
                command.args(args);
                tokio::time::timeout(*timeout, run(command, &wasm))
                    .await
                    .unwrap_or(Err(LoadError::CompileTimeout(timeout.as_secs())))
            }
        }
    }
}

/// The compiling child: reads a component, writes its machine code. To be called early in `main`,
/// by a hidden subcommand, with standard input and output; an error goes to standard error and
/// makes the exit status non-zero.
pub fn compile_child(mut input: impl Read, mut output: impl Write) -> Result<(), LoadError> {
    restrain().map_err(|error| LoadError::Compiler(error.to_string()))?;
    let failed = |error: std::io::Error| LoadError::Compiler(error.to_string());
    let mut wasm = Vec::new();
    input.read_to_end(&mut wasm).map_err(failed)?;
    let code = precompile(&wasm)?;
    output.write_all(&code).and_then(|()| output.flush()).map_err(failed)
}

fn restrain() -> rustix::io::Result<()> {
    let limit = |n| Rlimit { current: Some(n), maximum: Some(n) };
    // The kernel warns at the first number, which says why, and kills at the second.
    let cpu = Rlimit { current: Some(CHILD_CPU_SECONDS), maximum: Some(CHILD_CPU_SECONDS + 5) };
    rustix::process::setrlimit(Resource::As, limit(CHILD_ADDRESS_SPACE))?;
    rustix::process::setrlimit(Resource::Cpu, cpu)?;
    rustix::process::setrlimit(Resource::Core, limit(0))?;
    rustix::process::nice(CHILD_NICE).map(|_| ())
}

fn precompile(wasm: &[u8]) -> Result<Vec<u8>, LoadError> {
    let engine =
        engine::for_compiling().map_err(|error| LoadError::Engine(format!("{error:#}")))?;
    engine.precompile_component(wasm).map_err(|error| LoadError::Compile(format!("{error:#}")))
}

async fn run(mut command: Command, wasm: &[u8]) -> Result<Vec<u8>, LoadError> {
    let failed = |error: std::io::Error| LoadError::Compiler(error.to_string());
    let mut child = command
        // The child needs none of the parent's settings, and no secret among them.
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(mut stdin), Some(mut stdout), Some(stderr)) = (stdin, stdout, stderr) else {
        return Err(LoadError::Compiler("the child has no pipes".to_owned()));
    };
    let (mut code, mut complaint) = (Vec::new(), Vec::new());
    let mut stderr = stderr.take(CHILD_STDERR);
    let feed = async move {
        // A child that stops reading says why on stderr.
        let _ = stdin.write_all(wasm).await;
    };
    let ((), read, complained) =
        tokio::join!(feed, stdout.read_to_end(&mut code), stderr.read_to_end(&mut complaint));
    read.and(complained).map_err(failed)?;
    let status = child.wait().await.map_err(failed)?;
    if status.success() {
        return Ok(code);
    }
    if status.signal() == Some(Signal::XCPU.as_raw()) {
        return Err(LoadError::CompileCpu(CHILD_CPU_SECONDS));
    }
    let complaint = String::from_utf8_lossy(&complaint);
    Err(LoadError::Compile(format!("{status}: {}", complaint.trim())))
}
