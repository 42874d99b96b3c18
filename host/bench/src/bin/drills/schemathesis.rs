//! What schemathesis makes of the published document: requests by the thousand that obey it or
//! break it, and answers that are held against it.

use super::{Arguments, Database, fleet::program};
use aiv_bench::{
    host::{Host, Place, Process, fill, text},
    http::Api,
    mock::Mock,
    report::{Report, note},
    servers::{self, Postgres},
};
use anyhow::{Context, bail};
use serde_json::{Value, json};
use std::{fs, path::Path, process::Stdio, time::Duration};
use tokio::process::Command;

/// Where the tool's settings are, and what it cannot know by itself.
const SETTINGS: &str = "host/tests/openapi";
const SECRET: &str = "0123456789abcdef0123456789abcdef";
const MASTER_KEYS: &str = "drill:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// Somebody who sends all those requests.
struct Principal {
    kind: &'static str,
    /// Owner of the workspace that is asked about.
    caller: String,
    operator: String,
    /// Owner of a workspace that may be lost.
    leaver: String,
}

/// What the tool is told of the workspace.
struct Seed {
    key_id: String,
    event_id: String,
}

pub(crate) async fn run(arguments: &Arguments, report: &mut Report) -> anyhow::Result<()> {
    let examples = arguments.examples;
    note(format_args!(
        "\n== schemathesis: {examples} examples of each operation on {:?}",
        arguments.database
    ));
    let tools = servers::output(&mut Command::new(".ci/openapi-tools")).await?;
    let folder = arguments.folder.join("schemathesis");
    // Compiled components are kept from run to run, databases are not.
    let data = folder.join("data");
    if data.exists() {
        fs::remove_dir_all(&data).context("remove the databases of the last drill")?;
    }
    fs::create_dir_all(&data).context("make the folder of the drill")?;
    let vendors = Mock::start().await?;
    let postgres = match arguments.database {
        Database::Postgres => Some(Postgres::start(&["fsync=off"]).await?),
        Database::Sqlite => None,
    };
    for kind in ["key", "token"] {
        let database_url = if let Some(postgres) = &postgres {
            postgres.create(&format!("drill_{kind}")).await?
        } else {
            let file = std::path::absolute(data.join(format!("{kind}.db")))?;
            format!("sqlite:{}", file.display())
        };
        let mut host = Host::install(Place {
            program: &program(arguments)?,
            plugins: &arguments.plugins,
            folder: &folder,
            database_url,
            redis_url: None,
            vendors_url: vendors.url(),
        })
        .await?;
        host.set("JWT_SECRET", SECRET);
        host.set("AIV_MASTER_KEYS", MASTER_KEYS);
        // What the tool gets wrong on purpose must not slow it down.
        host.set("AUTH_FAILURES_PER_MINUTE", "1000000");
        let process = host.serve(kind, "all", &[]).await?;
        let (principal, seed) = prepare(&host, &process, kind).await?;
        ask(arguments, report, tools.trim(), &folder, &process, &principal, &seed).await?;
        let stopped = process.server.stop(Duration::from_secs(40)).await;
        report.check(&format!("{kind}: the host stops when it is told to"), stopped, "");
    }
    Ok(())
}

/// A workspace with something of everything that requests can make.
async fn prepare(
    host: &Host,
    process: &Process,
    kind: &'static str,
) -> anyhow::Result<(Principal, Seed)> {
    let operator = host.operator_key().await?;
    let everything = Api::new(&process.base, Some(operator.clone()))?;
    let made = everything.post("/v1/workspaces", &json!({"name": "Drill"})).await?;
    let left = everything.post("/v1/workspaces", &json!({"name": "Leaver"})).await?;
    let (caller, leaver) = (text(&made, "/owner/key")?, text(&left, "/owner/key")?);
    let api = Api::new(&process.base, Some(caller.clone()))?;
    fill(&api, 8).await?;
    let webhook = json!({"url": "https://hooks.example.com/"});
    let webhook = text(&api.post("/v1/webhooks", &webhook).await?, "/webhook/id")?;
    for number in 0..3 {
        let text = format!("Which project management tool suits a team of {number}?");
        let prompt = json!({"text": text, "topic": "tools", "tags": ["pm"], "intent": "which"});
        api.post("/v1/prompts", &prompt).await?;
    }
    // The second batch ends with an event after the one that streams go on from.
    for slot in ["first", "second"] {
        let batch = api.post("/v1/batches", &json!({ "slot": slot })).await?;
        wait(&api, &format!("/v1/batches/{}", text(&batch, "/id")?), |batch| {
            batch["state"] == "completed"
        })
        .await?;
    }
    let told = wait(&api, &format!("/v1/webhooks/{webhook}/deliveries"), |told| {
        told["data"].as_array().is_some_and(|told| told.len() >= 2)
    })
    .await?;
    let first = told["data"].as_array().and_then(|told| told.last()).context("no delivery")?;
    let seed =
        Seed { key_id: text(&made, "/owner/api_key/id")?, event_id: text(first, "/event_id")? };
    let principal = if kind == "key" {
        Principal { kind, caller, operator, leaver }
    } else {
        let (here, there) = (text(&made, "/workspace/id")?, text(&left, "/workspace/id")?);
        Principal {
            kind,
            // No words of the document: a request that revokes an `owner` would lock all out. By
            // their beginning the hooks know them.
            caller: host.token("drill-caller", &here, false).await?,
            operator: host.token("drill-operator", &there, true).await?,
            leaver: host.token("drill-leaver", &there, false).await?,
        }
    };
    Ok((principal, seed))
}

async fn wait(api: &Api, path: &str, done: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
    for _ in 0..600 {
        let found = api.get(path).await?;
        if done(&found) {
            return Ok(found);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bail!("{path} did not get ready within a minute")
}

async fn ask(
    arguments: &Arguments,
    report: &mut Report,
    tools: &str,
    folder: &Path,
    process: &Process,
    principal: &Principal,
    seed: &Seed,
) -> anyhow::Result<()> {
    let Principal { kind, caller, operator, leaver } = principal;
    let log = folder.join(format!("{kind}.txt"));
    let found = std::path::absolute(folder.join(format!("{kind}.json")))?;
    let output = fs::File::create(&log).with_context(|| format!("write {}", log.display()))?;
    let settings = std::path::absolute(SETTINGS)?;
    let mut tool = Command::new(std::path::absolute(Path::new(tools).join("st"))?);
    tool.arg("--config-file")
        .arg(settings.join("schemathesis.toml"))
        .arg("run")
        .arg(format!("{}/openapi.json", process.base))
        .args(["--url", &process.base, "--phases", "examples,coverage,fuzzing,stateful"])
        .args(["--max-examples", &arguments.examples.to_string(), "--no-color"])
        .args(["--generation-database", "none", "--report-json-path"])
        .arg(&found)
        .args(&arguments.st)
        // What it keeps for itself, it keeps there.
        .current_dir(folder)
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .env("PYTHONPATH", settings)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("AIV_CALLER", caller)
        .env("AIV_OPERATOR", operator)
        .env("AIV_LEAVER", leaver)
        .env("AIV_KEY_ID", &seed.key_id)
        .env("AIV_EVENT", &seed.event_id)
        .stdin(Stdio::null())
        .stderr(output.try_clone()?)
        .stdout(output)
        .kill_on_drop(true);
    let status = tool.status().await.context("start schemathesis")?;
    let told: Value = match fs::read(&found) {
        Ok(bytes) => serde_json::from_slice(&bytes)?,
        Err(_) => bail!("schemathesis ended with {status} and no result: see {}", log.display()),
    };
    for failure in told["failures"].as_array().into_iter().flatten() {
        let operations: Vec<_> =
            failure["operations"].as_array().into_iter().flatten().filter_map(name).collect();
        note(format_args!("      {}: {}", failure["title"], operations.join(", ")));
    }
    let cases = &told["test_cases"];
    let broken = &cases["unique_failures"];
    let errors = told["errors"].as_array().map_or(0, Vec::len);
    let shown = format!(
        "{} requests to {} operations in {:.0} s, {broken} failures, {errors} errors: {}",
        cases["generated"],
        told["operations"]["tested"],
        told["running_time"].as_f64().unwrap_or_default(),
        log.display(),
    );
    let holds = status.success() && *broken == 0 && errors == 0;
    report.check(&format!("{kind}: every answer is as the document says"), holds, shown);
    // Refusals are answers too: a caller without rights would find everything in order.
    for (who, credential) in [("caller", caller), ("operator", operator)] {
        let still = Api::new(&process.base, Some(credential.clone()))?;
        let answer = still.get("/v1/auth/whoami").await;
        let what = format!("{kind}: the {who} may still call");
        report.check(
            &what,
            answer.is_ok(),
            answer.err().map(|e| e.to_string()).unwrap_or_default(),
        );
    }
    Ok(())
}

/// How the tool's result names an operation.
fn name(operation: &Value) -> Option<&str> {
    operation.as_str().or_else(|| operation["label"].as_str())
}
