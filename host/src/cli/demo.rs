use super::{key, note, print, report, serve};
use crate::{
    App, Clock, app,
    config::{Config, ProviderMode},
    ids::{BatchId, WorkspaceId},
    jobs::{self, BatchRequest, DailyAggregations, Job},
    metrics::{self, Scope, Window},
    providers::replay::{self, DemoBrand, DemoSet},
    queue::{Presence, ProcessRole},
    seed,
    store::{
        api_keys::Role,
        batches::{self, BatchState},
        costs, jobs as job_rows,
        workspaces::{self, Workspace},
    },
    telemetry,
};
use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use secrecy::ExposeSecret;
use std::{collections::BTreeMap, path::Path, process::ExitCode, time::Duration};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Samples per prompt and engine on recordings, where they cost nothing.
const SAMPLES: i64 = 3;

/// The instant that demo runs stand for. A constant, so that the same runs are the same runs.
const SLOT: &str = "demo";

/// Where the demo lives unless `DATABASE_URL` names another place.
const DATABASE: &str = "data/demo.db";

#[derive(Debug, clap::Args)]
pub(super) struct Demo {
    /// Stop after the table instead of serving it.
    #[arg(long)]
    exit: bool,
    /// Ask the real engines, as far as their keys are set. This costs money; the sum is shown
    /// before the first call.
    #[arg(long)]
    live: bool,
    /// Do not ask before spending money.
    #[arg(long, requires = "live")]
    yes: bool,
    /// Own brand to look for with `--live`, and its competitors after it.
    #[arg(long = "brand", value_name = "NAME", requires = "live")]
    brands: Vec<String>,
    /// Question to ask with `--live`.
    #[arg(long = "prompt", value_name = "TEXT", requires = "live")]
    prompts: Vec<String>,
}

impl Demo {
    pub(super) async fn run(self, mut config: Config, json: bool) -> anyhow::Result<ExitCode> {
        if !self.live {
            config.providers.mode = ProviderMode::Replay;
        }
        // The log is the server's; while the table is being made it would only be in its way.
        let log = if self.exit { "error" } else { config.telemetry.log.as_str() };
        let quiet = crate::config::Telemetry { log: log.into(), ..config.telemetry.clone() };
        telemetry::init(&quiet)?;
        if config.uses_default_database() {
            config.database.url = format!("sqlite:{DATABASE}").into();
            if !self.live {
                start_afresh(Path::new(DATABASE))?;
            }
        }
        let place = config.database.url.expose_secret().to_owned();
        let runtime = app::runtime(&config)?;
        let app = App::open(config, Clock::default(), runtime).await?;
        anyhow::ensure!(
            !app.providers.list().is_empty(),
            "no component in {}: run `make plugins`, or set PLUGIN_DIR",
            app.config.providers.plugin_dir.display()
        );
        let stop = serve::stop_on_signal()?;

        let set = if self.live { self.live_set()? } else { replay::demo().clone() };
        let (workspace, admin_key) = create_workspace(&app, &set, !self.live).await?;
        if self.live && !asks_anybody(&app) {
            anyhow::bail!("no engine can be asked: set one of the variables above");
        }
        let samples = if self.live { 1 } else { SAMPLES };
        let request = BatchRequest {
            samples,
            slot: (!self.live).then(|| SLOT.to_owned()),
            ..BatchRequest::default()
        };
        if self.live && !self.confirm(&app, &workspace, request.clone()).await? {
            return Ok(ExitCode::FAILURE);
        }
        measure(&app, &workspace, request, &stop).await?;
        show(&app, &workspace, json).await?;
        if self.exit || stop.is_cancelled() {
            app.store.close().await;
            return Ok(ExitCode::SUCCESS);
        }

        let address = app.config.listen_on();
        note(format_args!("\n  database   {place}"));
        note(format_args!("  dashboard  http://{address}/"));
        note(format_args!("  API docs   http://{address}/docs"));
        note(format_args!("  API key    {admin_key}"));
        note("\n  Ctrl-C stops it.\n");
        serve::serve(app, ProcessRole::All, stop).await?;
        Ok(ExitCode::SUCCESS)
    }

    /// What `--live` asks: the caller's brands and questions, or well-known ones.
    fn live_set(&self) -> anyhow::Result<DemoSet> {
        let names: Vec<String> = if self.brands.is_empty() {
            ["Asana", "Trello", "Notion", "ClickUp"].map(str::to_owned).into()
        } else {
            self.brands.clone()
        };
        let brand =
            |name: &String| DemoBrand { name: name.clone(), aliases: vec![], domains: vec![] };
        let (own, competitors) = names.split_first().context("name a brand")?;
        let texts: Vec<String> = if self.prompts.is_empty() {
            [
                "What is the best project management software for a small team?",
                "Which task management app should a startup use?",
                "What are good alternatives to spreadsheets for planning projects?",
            ]
            .map(str::to_owned)
            .into()
        } else {
            self.prompts.clone()
        };
        let prompts = texts
            .into_iter()
            .map(|text| replay::DemoPrompt { intent: text.clone(), text, tags: vec![] })
            .collect();
        Ok(DemoSet {
            brand: brand(own),
            competitors: competitors.iter().map(brand).collect(),
            prompts,
        })
    }

    async fn confirm(
        &self,
        app: &App,
        workspace: &Workspace,
        request: BatchRequest,
    ) -> anyhow::Result<bool> {
        let mut conn = app.store.read().await?;
        let plan = jobs::plan_batch(app, &mut conn, workspace.id, request).await?;
        note(format_args!(
            "{} calls to {} will cost about {}.",
            plan.planned,
            plan.selection.engines.join(", "),
            report::dollars(plan.estimated_micros)
        ));
        if self.yes {
            return Ok(true);
        }
        note("Go on? [y/N]");
        let answer = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            std::io::stdin().read_line(&mut line).map(|_| line)
        });
        Ok(answer.await??.trim().eq_ignore_ascii_case("y"))
    }
}

fn asks_anybody(app: &App) -> bool {
    app.providers.list().iter().any(|route| app.providers.missing_credentials(route).is_empty())
}

/// Removes what an earlier demo left: its numbers would be added to this one's.
fn start_afresh(database: &Path) -> anyhow::Result<()> {
    for suffix in ["", "-wal", "-shm"] {
        let mut file = database.as_os_str().to_owned();
        file.push(suffix);
        match std::fs::remove_file(&file) {
            Err(err) if err.kind() != std::io::ErrorKind::NotFound => {
                return Err(err).with_context(|| {
                    format!("remove {}: is a demo still running?", database.display())
                });
            }
            _ => {}
        }
    }
    Ok(())
}

/// A workspace with brands, prompts and every engine that can be asked; returns its key too.
async fn create_workspace(
    app: &App,
    set: &DemoSet,
    synthetic: bool,
) -> anyhow::Result<(Workspace, String)> {
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    let workspace = Workspace::new("Demo", synthetic, now);
    workspaces::insert(&mut tx, &workspace).await?;
    let name = "demo".to_owned();
    let key = key::create(&mut tx, &workspace, name, Role::Owner, true, None, now).await?;
    for route in app.providers.list() {
        let missing = app.providers.missing_credentials(&route);
        if !missing.is_empty() {
            note(format_args!("{} is left out: set {}", route.key(), missing.join(", ")));
        }
    }
    seed::fill(&mut tx, workspace.id, set, &app.providers, now).await?;
    tx.commit().await?;
    Ok((workspace, key.reveal().to_owned()))
}

/// Runs the batch through the queue, then counts its days again.
async fn measure(
    app: &App,
    workspace: &Workspace,
    request: BatchRequest,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let mut tx = app.store.begin().await?;
    let plan = jobs::plan_batch(app, &mut tx, workspace.id, request).await?;
    let batch = jobs::start_batch(app, &mut tx, workspace.id, plan, "demo").await?;
    tx.commit().await?;

    let tasks = TaskTracker::new();
    let done = stop.child_token();
    let presence =
        Presence::new(ProcessRole::All, app.config.workers.runs_at_once(), app.clock.now());
    serve::work(app, &presence, &tasks, done.clone()).await?;
    app.queue.wake();
    watch(app, workspace.id, batch.id, stop).await?;

    let mut tx = app.store.begin().await?;
    let job = DailyAggregations { workspace: workspace.id, day: workspace.day(app.clock.now()) };
    app.queue.enqueue(&mut tx, &[job.queued(app)?], app.clock.now()).await?;
    tx.commit().await?;
    app.queue.wake();
    while !stop.is_cancelled() && queued(app, DailyAggregations::QUEUE).await? {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    done.cancel();
    tasks.close();
    tasks.wait().await;
    Ok(())
}

/// Shows how far the batch is until it has ended.
async fn watch(
    app: &App,
    workspace: WorkspaceId,
    batch: BatchId,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let bar = ProgressBar::new(0)
        .with_style(ProgressStyle::with_template("{bar:40} {pos}/{len} runs, {per_sec}, {msg}")?);
    while !stop.is_cancelled() {
        let mut conn = app.store.read().await?;
        let found = batches::find(&mut conn, workspace, batch).await?;
        let progress = batches::progress(&mut conn, workspace, batch).await?;
        drop(conn);
        bar.set_length(u64::try_from(found.planned).unwrap_or(0));
        bar.set_position(u64::try_from(progress.finished()).unwrap_or(0));
        bar.set_message(report::dollars(progress.cost_micros));
        if matches!(found.state, BatchState::Completed | BatchState::Cancelled) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bar.finish_and_clear();
    Ok(())
}

async fn queued(app: &App, queue: &str) -> anyhow::Result<bool> {
    let mut conn = app.store.read().await?;
    let counts = job_rows::counts(&mut conn).await?;
    Ok(counts
        .iter()
        .any(|count| count.queue == queue && matches!(&*count.state, "available" | "running")))
}

async fn show(app: &App, workspace: &Workspace, json: bool) -> anyhow::Result<()> {
    let mut conn = app.store.read().await?;
    let window = Window::last(30, workspace.day(app.clock.now()));
    let counts = metrics::load(&mut conn, workspace, window, &Scope::default()).await?;
    let overview = counts.overview();
    let top = metrics::top_domains(&mut conn, workspace, window, 8).await?;
    let sums = costs::by_day_and_engine(&mut conn, workspace.id, window.from, window.to).await?;
    let mut spent: BTreeMap<String, i64> = BTreeMap::new();
    for sum in sums {
        *spent.entry(sum.engine.unwrap_or_default()).or_default() += sum.micros;
    }
    let spent: Vec<_> = spent.into_iter().collect();
    if json {
        print(serde_json::to_string_pretty(&report::json(&overview, &spent, &top))?)?;
        return Ok(());
    }
    print("\nHow often each brand is named: mention rate [95 % interval] n answers\n")?;
    print(report::visibility(&overview))?;
    print("\nWhat the engines did\n")?;
    print(report::engines(&overview, &spent))?;
    print("\nWhere the answers come from\n")?;
    print(report::domains(&top))?;
    let branded = Scope { branded: true, ..Scope::default() };
    let branded = metrics::load(&mut conn, workspace, window, &branded).await?.overview().totals;
    let runs = [overview.totals, branded].map(|t| t.answered + t.no_answer + t.failed);
    print(format_args!(
        "\n{} runs cost {}. The rates are about the {} intents that name no own brand; phrasings \
         of one intent\ncount as one draw, so intervals are wider than n suggests.",
        runs.iter().sum::<i64>(),
        report::dollars(spent.iter().map(|(_, micros)| micros).sum()),
        overview.answer_rate.prompts,
    ))?;
    if overview.synthetic {
        print("All answers are recordings: brands, sites and numbers are invented.")?;
    }
    Ok(())
}
