//! What a day may cost, has cost and is about to cost: for the platform, a workspace, an engine.
//!
//! A call is paid from three rows of `budget_days` at once. It reserves what it costs as a rule
//! before it is made, and settles what it did cost, or releases the reservation, afterwards. Each
//! step leaves a line in the cost ledger, from which the rows can be counted again: see
//! [`super::budget_audit`].
//!
//! **Invariant:** a reservation is granted only when every level has room for the whole of it. The
//! rows stay locked from the look at them to the commit, so no two transactions share that room.
//! **Invariant:** rows are touched in one order, the platform's first.
//! **Invariant:** money belongs to the day on which it was reserved.
//! **Invariant:** a call that may have been paid is never counted as free.

use super::{
    Conn,
    bulk::Rows,
    costs::{self, LedgerEntry},
    on_db, throttles,
    throttles::Override,
};
use crate::{
    Error, Result,
    ids::{LedgerEntryId, RunId, WorkspaceId},
};
use chrono::{DateTime, NaiveDate, Utc};
use sqlx::FromRow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use uuid::Uuid;

/// What holds for everybody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Policy {
    /// Share of a budget from which on only urgent calls are made; never when `None`.
    pub throttle_at: Option<f64>,
    /// The platform's budget of a day, unless an operator set another one.
    pub platform_micros: Option<i64>,
}

/// Whose budget it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    Platform,
    Workspace,
    Engine,
}

impl Scope {
    pub const fn as_str(self) -> &'static str {
        match self {
            Scope::Platform => "platform",
            Scope::Workspace => "workspace",
            Scope::Engine => "engine",
        }
    }
}

/// How freely may be spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    Normal,
    /// Only calls that somebody waits for are made.
    Throttled,
    Stopped,
}

/// One row of `budget_days`, by what orders them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    pub scope: Scope,
    pub day: NaiveDate,
    pub(super) workspace: Uuid,
    pub engine: String,
}

impl Key {
    /// The rows that a call is paid from.
    fn of(workspace: WorkspaceId, engine: &str, day: NaiveDate, utc_day: NaiveDate) -> [Key; 3] {
        let row = |scope, day, workspace, engine: &str| Key {
            scope,
            day,
            workspace,
            engine: engine.to_owned(),
        };
        [
            row(Scope::Platform, utc_day, Uuid::nil(), ""),
            row(Scope::Workspace, day, workspace.0, ""),
            row(Scope::Engine, day, workspace.0, engine),
        ]
    }
}

/// What a row holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Level {
    /// Unlimited when `None`, closed when 0.
    pub limit: Option<i64>,
    pub reserved: i64,
    pub spent: i64,
}

impl Level {
    pub fn used(&self) -> i64 {
        self.reserved.saturating_add(self.spent)
    }

    /// What can still be reserved; no bound when `None`.
    pub fn left(&self) -> Option<i64> {
        self.limit.map(|limit| limit.saturating_sub(self.used()).max(0))
    }

    fn has_room_for(&self, micros: i64) -> bool {
        self.left().is_none_or(|left| left > 0 && micros <= left)
    }

    #[expect(clippy::cast_precision_loss, reason = "a share of some dollars")]
    pub fn state(&self, policy: &Policy) -> State {
        match self.limit {
            None => State::Normal,
            Some(limit) if self.used() >= limit => State::Stopped,
            Some(limit) => match policy.throttle_at {
                Some(share) if self.used() as f64 >= share * limit as f64 => State::Throttled,
                _ => State::Normal,
            },
        }
    }
}

/// A call that wants to be paid for.
#[derive(Debug, Clone)]
pub struct Want {
    pub run: RunId,
    pub attempt: i64,
    pub workspace: WorkspaceId,
    pub engine: String,
    /// Today, in the workspace's time zone.
    pub day: NaiveDate,
    /// What it costs as a rule.
    pub micros: i64,
    /// Somebody waits for it.
    pub urgent: bool,
    pub synthetic: bool,
}

/// Whether a call may be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Granted,
    /// Not now: a budget runs low, and nobody waits.
    PutOff,
    /// Why not, and what to do about it.
    Refused(String),
}

/// How an attempt that had reserved money ended.
#[derive(Debug, Clone)]
pub struct Closing {
    /// `settle` or `release`. Its amount is what is known, or the best guess.
    pub entry: LedgerEntry,
    /// Nobody knows what it cost: what was reserved counts as spent.
    pub guess: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Delta {
    reserved: i64,
    spent: i64,
}

/// What a transaction changes in the rows. They are touched once, near its end: many transactions
/// wait for the same ones.
#[derive(Debug, Default)]
pub struct Books {
    deltas: BTreeMap<Key, Delta>,
    /// The rows that were written, as they are now.
    pub(super) levels: BTreeMap<Key, Level>,
    /// Rows that had no room for a call.
    pub(super) full: BTreeSet<Key>,
}

#[derive(FromRow)]
struct Reserved {
    run_id: RunId,
    attempt: i64,
    micros: Option<i64>,
    day: Option<NaiveDate>,
    created_at: Option<DateTime<Utc>>,
    closed: bool,
    counts: bool,
}

#[derive(FromRow)]
struct Row {
    scope: String,
    workspace_id: Uuid,
    engine: String,
    day: NaiveDate,
    limit_micros: Option<i64>,
    reserved_micros: i64,
    spent_micros: i64,
}

impl Row {
    fn key(&self) -> Key {
        let scope = match self.scope.as_str() {
            "platform" => Scope::Platform,
            "workspace" => Scope::Workspace,
            _ => Scope::Engine,
        };
        let Row { day, workspace_id: workspace, .. } = *self;
        Key { scope, day, workspace, engine: self.engine.clone() }
    }

    fn level(&self) -> Level {
        Level { limit: self.limit_micros, reserved: self.reserved_micros, spent: self.spent_micros }
    }
}

#[derive(FromRow)]
struct Limit {
    workspace_id: Uuid,
    workspace_micros: Option<i64>,
    engine: Option<String>,
    engine_micros: Option<i64>,
}

/// The limits of this moment.
struct Limits {
    platform: Option<i64>,
    workspaces: HashMap<Uuid, Option<i64>>,
    engines: HashMap<(Uuid, String), Option<i64>>,
}

impl Limits {
    async fn find(
        conn: &mut Conn,
        workspaces: impl IntoIterator<Item = Uuid>,
        policy: &Policy,
    ) -> Result<Self> {
        let workspaces: HashSet<Uuid> = workspaces.into_iter().filter(|id| !id.is_nil()).collect();
        let workspaces: Vec<Uuid> = workspaces.into_iter().collect();
        let rows: Vec<Limit> = Rows::new(&workspaces)
            .column("workspace_id", |id| *id)
            .fetch(
                conn,
                "SELECT w.id AS workspace_id, w.daily_budget_micros AS workspace_micros,
                        e.key AS engine, e.daily_budget_micros AS engine_micros
                 FROM v JOIN workspaces w ON w.id = v.workspace_id
                 LEFT JOIN engines e ON e.workspace_id = w.id",
            )
            .await?;
        let platform = throttles::platform_limit(conn, policy).await?;
        let mut limits = Limits { platform, workspaces: HashMap::new(), engines: HashMap::new() };
        for Limit { workspace_id, workspace_micros, engine, engine_micros } in rows {
            limits.workspaces.insert(workspace_id, workspace_micros);
            if let Some(engine) = engine {
                limits.engines.insert((workspace_id, engine), engine_micros);
            }
        }
        Ok(limits)
    }

    fn of(&self, key: &Key) -> Option<i64> {
        match key.scope {
            Scope::Platform => self.platform,
            Scope::Workspace => self.workspaces.get(&key.workspace).copied().flatten(),
            Scope::Engine => {
                self.engines.get(&(key.workspace, key.engine.clone())).copied().flatten()
            }
        }
    }
}

impl Books {
    fn add(&mut self, keys: &[Key], reserved: i64, spent: i64) {
        for key in keys {
            let delta = self.deltas.entry(key.clone()).or_default();
            delta.reserved += reserved;
            delta.spent += spent;
        }
    }

    /// Writes what is noted; returns the rows as they are then, locked until the commit.
    pub async fn post(
        &mut self,
        conn: &mut Conn,
        policy: &Policy,
        now: DateTime<Utc>,
    ) -> Result<HashMap<Key, Level>> {
        let deltas: Vec<_> = std::mem::take(&mut self.deltas).into_iter().collect();
        if deltas.is_empty() {
            return Ok(HashMap::new());
        }
        let limits = Limits::find(conn, deltas.iter().map(|(key, _)| key.workspace), policy);
        let limits = limits.await?;
        let rows: Vec<Row> = Rows::new(&deltas)
            .column("scope", |(key, _)| key.scope.as_str())
            .column("workspace_id", |(key, _)| key.workspace)
            .column("engine", |(key, _)| key.engine.as_str())
            .column("day", |(key, _)| key.day)
            .column("limit_micros", |(key, _)| limits.of(key))
            .column("reserved_micros", |(_, delta)| delta.reserved)
            .column("spent_micros", |(_, delta)| delta.spent)
            .column("updated_at", |_| now)
            .insert_returning(
                conn,
                "INSERT INTO budget_days",
                "ON CONFLICT (scope, workspace_id, engine, day) DO UPDATE
                 SET limit_micros = excluded.limit_micros, updated_at = excluded.updated_at,
                     reserved_micros = budget_days.reserved_micros + excluded.reserved_micros,
                     spent_micros = budget_days.spent_micros + excluded.spent_micros,
                     told = CASE WHEN budget_days.limit_micros
                                      IS NOT DISTINCT FROM excluded.limit_micros
                                 THEN budget_days.told END
                 RETURNING scope, workspace_id, engine, day, limit_micros, reserved_micros,
                           spent_micros",
            )
            .await?;
        let levels: HashMap<_, _> = rows.iter().map(|row| (row.key(), row.level())).collect();
        self.levels.extend(levels.iter().map(|(key, level)| (key.clone(), *level)));
        Ok(levels)
    }
}

/// Reserves money for calls, in their order, as far as it goes.
///
/// All of it is added at once, which locks the rows; what does not fit is taken off again before
/// anybody can see it.
pub async fn reserve(
    conn: &mut Conn,
    books: &mut Books,
    wants: &[Want],
    policy: &Policy,
    now: DateTime<Utc>,
) -> Result<Vec<Verdict>> {
    if wants.is_empty() {
        return Ok(vec![]);
    }
    let keys: Vec<[Key; 3]> =
        wants.iter().map(|w| Key::of(w.workspace, &w.engine, w.day, now.date_naive())).collect();
    for (want, keys) in wants.iter().zip(&keys) {
        books.add(keys, want.micros, 0);
    }
    let mut levels = books.post(conn, policy, now).await?;
    for (want, keys) in wants.iter().zip(&keys) {
        for key in keys {
            if let Some(level) = levels.get_mut(key) {
                level.reserved -= want.micros;
            }
        }
    }

    let said = throttles::in_force(conn, wants.iter().map(|want| want.workspace), now).await?;
    let mut verdicts = Vec::with_capacity(wants.len());
    let mut lines = Vec::new();
    for (want, keys) in wants.iter().zip(&keys) {
        let verdict = judge(want, keys, &levels, said.get(&want.workspace), policy);
        if verdict == Verdict::Granted {
            for key in keys {
                if let Some(level) = levels.get_mut(key) {
                    level.reserved += want.micros;
                }
            }
            lines.push(line(want, now));
        } else {
            books.add(keys, -want.micros, 0);
            let full = |key: &&Key| levels.get(key).is_some_and(|l| !l.has_room_for(want.micros));
            books.full.extend(keys.iter().filter(full).cloned());
        }
        verdicts.push(verdict);
    }
    books.post(conn, policy, now).await?;
    costs::insert(conn, &lines.iter().collect::<Vec<_>>()).await?;
    Ok(verdicts)
}

fn judge(
    want: &Want,
    keys: &[Key; 3],
    levels: &HashMap<Key, Level>,
    said: Option<&Override>,
    policy: &Policy,
) -> Verdict {
    if let Some(said) = said.filter(|said| said.state == "stopped") {
        return Verdict::Refused(format!(
            "budget: an operator stopped the workspace ({}): ask the operator to lift it",
            said.reason
        ));
    }
    let levels: Vec<_> = keys.iter().filter_map(|key| Some((key, levels.get(key)?))).collect();
    if let Some((key, level)) = levels.iter().find(|(_, level)| !level.has_room_for(want.micros)) {
        return Verdict::Refused(refusal(key, level, want.micros));
    }
    let throttled = match said.map(|said| said.state.as_str()) {
        Some("normal") => false,
        Some("throttled") => true,
        _ => levels.iter().any(|(_, level)| level.state(policy) == State::Throttled),
    };
    if throttled && !want.urgent { Verdict::PutOff } else { Verdict::Granted }
}

/// What the platform spends is nobody's business but its operator's.
fn refusal(key: &Key, level: &Level, micros: i64) -> String {
    let Level { limit, reserved, spent } = *level;
    let limit = limit.unwrap_or(i64::MAX);
    let day = key.day;
    let numbers = format!(
        "has no room for {micros} micro-USD on {day}: {spent} spent and {reserved} reserved of \
         {limit}"
    );
    match key.scope {
        Scope::Platform => format!(
            "budget: the platform's budget of {day} (UTC) is used up: wait for tomorrow, or ask \
             its operator to raise it"
        ),
        Scope::Workspace => format!(
            "budget: the workspace's budget {numbers}; raise its daily_budget_micros or wait for \
             tomorrow"
        ),
        Scope::Engine => format!(
            "budget: the budget of engine {} {numbers}; raise its daily_budget_micros or wait for \
             tomorrow",
            key.engine
        ),
    }
}

/// The ledger's line of a reservation.
pub(super) fn line(want: &Want, now: DateTime<Utc>) -> LedgerEntry {
    LedgerEntry {
        id: LedgerEntryId::generate(),
        workspace_id: want.workspace,
        run_id: want.run,
        attempt: want.attempt,
        kind: "reserve".into(),
        engine: want.engine.clone(),
        micros: want.micros,
        basis: "estimated".into(),
        synthetic: want.synthetic,
        day: want.day,
        created_at: now,
    }
}

/// Ends reservations: adds the ledger's lines and notes in `books` what they change. Returns the
/// lines that were new, as they were written.
pub async fn close(
    conn: &mut Conn,
    books: &mut Books,
    closings: Vec<Closing>,
) -> Result<Vec<LedgerEntry>> {
    let reserved: Vec<Reserved> = Rows::new(&closings)
        .column("workspace_id", |closing| closing.entry.workspace_id)
        .column("run_id", |closing| closing.entry.run_id)
        .column("attempt", |closing| closing.entry.attempt)
        .column("synthetic", |closing| closing.entry.synthetic)
        .fetch(
            conn,
            "SELECT v.run_id, v.attempt, r.micros, r.day, r.created_at,
                    w.synthetic = v.synthetic AS counts,
                    EXISTS (SELECT 1 FROM cost_ledger s
                            WHERE s.run_id = v.run_id AND s.attempt = v.attempt
                              AND s.kind IN ('settle', 'release')) AS closed
             FROM v JOIN workspaces w ON w.id = v.workspace_id
             LEFT JOIN cost_ledger r
               ON r.run_id = v.run_id AND r.attempt = v.attempt AND r.kind = 'reserve'",
        )
        .await?;
    let reserved: HashMap<_, _> =
        reserved.into_iter().map(|row| ((row.run_id, row.attempt), row)).collect();
    let mut lines = Vec::with_capacity(closings.len());
    for Closing { mut entry, guess } in closings {
        let Some(row) = reserved.get(&(entry.run_id, entry.attempt)) else { continue };
        let settles = entry.kind == "settle";
        // Nothing to give back, or done by another hand already.
        if row.closed || (!settles && row.micros.is_none()) {
            continue;
        }
        let (micros, at) = (row.micros.unwrap_or(0), row.created_at.unwrap_or(entry.created_at));
        entry.day = row.day.unwrap_or(entry.day);
        if !settles || (guess && row.micros.is_some()) {
            entry.micros = micros;
        }
        if row.counts {
            let spent = if settles { entry.micros } else { 0 };
            let keys = Key::of(entry.workspace_id, &entry.engine, entry.day, at.date_naive());
            books.add(&keys, -micros, spent);
        }
        lines.push(entry);
    }
    costs::insert(conn, &lines.iter().collect::<Vec<_>>()).await?;
    Ok(lines)
}

/// A level as it stands, with whose it is.
#[derive(Debug, Clone)]
pub struct Today {
    pub key: Key,
    pub level: Level,
}

/// What concerns a workspace on `day`: the platform, itself, and each of its engines.
pub async fn today(
    conn: &mut Conn,
    workspace: WorkspaceId,
    day: NaiveDate,
    policy: &Policy,
    now: DateTime<Utc>,
) -> Result<Vec<Today>> {
    let limits = Limits::find(conn, [workspace.0], policy).await?;
    let utc_day = now.date_naive();
    let rows: Vec<Row> = on_db!(conn, |c| sqlx::query_as(
        "SELECT scope, workspace_id, engine, day, limit_micros, reserved_micros, spent_micros
         FROM budget_days
         WHERE (workspace_id = $1 AND day = $2 AND scope IN ('workspace', 'engine'))
            OR (workspace_id = $3 AND day = $4 AND scope = 'platform')",
    )
    .bind(workspace)
    .bind(day)
    .bind(Uuid::nil())
    .bind(utc_day)
    .fetch_all(c)
    .await)?;
    let levels: HashMap<Key, Level> = rows.iter().map(|row| (row.key(), row.level())).collect();
    let [platform, own, _] = Key::of(workspace, "", day, utc_day);
    let mut engines: Vec<&String> = limits.engines.keys().map(|(_, engine)| engine).collect();
    engines.sort();
    let engines = engines.into_iter().map(|engine| {
        let [.., key] = Key::of(workspace, engine, day, utc_day);
        key
    });
    let keys = [platform, own].into_iter().chain(engines);
    Ok(keys
        .map(|key| {
            let level = levels.get(&key).copied().unwrap_or_default();
            Today { level: Level { limit: limits.of(&key), ..level }, key }
        })
        .collect())
}

/// Refuses when nothing more may be spent today, by the workspace or by the platform.
pub async fn check(
    conn: &mut Conn,
    workspace: WorkspaceId,
    day: NaiveDate,
    policy: &Policy,
    now: DateTime<Utc>,
) -> Result<()> {
    let said = throttles::in_force(conn, [workspace], now).await?;
    if let Some(said) = said.get(&workspace).filter(|said| said.state == "stopped") {
        return Err(Error::Budget(format!(
            "an operator stopped the workspace ({}): ask the operator to lift it",
            said.reason
        )));
    }
    let rows = today(conn, workspace, day, policy, now).await?;
    let shared = rows.iter().filter(|row| row.key.scope != Scope::Engine);
    match shared.into_iter().find(|row| row.level.state(policy) == State::Stopped) {
        Some(Today { key, level }) => {
            let why = refusal(key, level, 1);
            Err(Error::Budget(why.trim_start_matches("budget: ").to_owned()))
        }
        None => Ok(()),
    }
}

/// Reserved and spent of every row of a day, by scope, workspace and engine.
pub(super) async fn booked(
    conn: &mut Conn,
    day: NaiveDate,
) -> Result<BTreeMap<(&'static str, Uuid, String), (i64, i64)>> {
    let rows: Vec<Row> = on_db!(conn, |c| sqlx::query_as(
        "SELECT scope, workspace_id, engine, day, limit_micros, reserved_micros, spent_micros
         FROM budget_days WHERE day = $1",
    )
    .bind(day)
    .fetch_all(c)
    .await)?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let key = (row.key().scope.as_str(), row.workspace_id, row.engine);
            (key, (row.reserved_micros, row.spent_micros))
        })
        .collect())
}
