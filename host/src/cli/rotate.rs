//! Sealing anew with another master key, in small transactions: work goes on meanwhile, with either
//! key. What was set anew meanwhile is left to whoever set it.

use super::operator::Operator;
use crate::{
    config::Config,
    ids::{ConnectionId, WebhookId},
    store::{Tx, audit_logs, connections, credentials, webhooks},
    vault::{Place, Vault},
};
use serde::Serialize;
use std::process::ExitCode;

/// Rows of one transaction.
const PAGE: i64 = 100;

/// How many were sealed anew.
#[derive(Default, PartialEq, Serialize)]
struct Rotated {
    credentials: usize,
    webhooks: usize,
    connections: usize,
}

pub(super) async fn run(config: &Config, json: bool) -> anyhow::Result<ExitCode> {
    let vault = Vault::open(&config.auth, &config.database)?;
    let current = vault.current_key()?;
    let operator = Operator::open(config, json).await?;
    let rotated = Rotated {
        credentials: of_engines(&operator, &vault).await?,
        webhooks: of_webhooks(&operator, &vault).await?,
        connections: of_connections(&operator, &vault).await?,
    };
    if rotated != Rotated::default() {
        let mut tx = operator.begin().await?;
        let what = serde_json::to_value(&rotated)?;
        let (actor, now) = (&operator.actor, operator.now);
        audit_logs::note(&mut tx, actor, "master_key.rotate", &current, what, now).await?;
        tx.commit().await?;
    }
    operator.store.close().await;
    let Rotated { credentials, webhooks, connections } = &rotated;
    let text = format!(
        "sealed anew with key {current}: {credentials} credentials of engines, {webhooks} \
         webhooks, {connections} connections"
    );
    let mut facts = serde_json::to_value(&rotated)?;
    facts["key_id"] = current.into();
    operator.say(&text, &facts)?;
    Ok(ExitCode::SUCCESS)
}

/// Seals one secret anew; `None` when it is sealed as it should be.
fn anew(vault: &Vault, place: Place<'_>, sealed: &[u8]) -> anyhow::Result<Option<Vec<u8>>> {
    if vault.is_current(sealed) {
        return Ok(None);
    }
    Ok(Some(vault.seal(place, &vault.unseal(place, sealed)?)?))
}

/// Goes through all pages; a page tells how many it sealed anew, and its last row.
async fn pages<R>(
    operator: &Operator,
    page: impl AsyncFn(&mut Tx, Option<R>) -> anyhow::Result<(usize, Option<R>)>,
) -> anyhow::Result<usize> {
    let (mut count, mut after) = (0, None);
    loop {
        let mut tx = operator.begin().await?;
        let (sealed, last) = page(&mut tx, after).await?;
        tx.commit().await?;
        count += sealed;
        if last.is_none() {
            return Ok(count);
        }
        after = last;
    }
}

async fn of_engines(operator: &Operator, vault: &Vault) -> anyhow::Result<usize> {
    let page = async |tx: &mut Tx, after: Option<credentials::Credential>| {
        let rows = credentials::of_all(tx, after.as_ref(), PAGE).await?;
        let mut count = 0;
        for row in &rows {
            let place = Place::of_engine(row.workspace_id, &row.engine, &row.name);
            if let Some(sealed) = anew(vault, place, &row.sealed)? {
                count += usize::from(credentials::reseal(tx, row, &sealed).await?);
            }
        }
        Ok((count, rows.into_iter().last()))
    };
    pages(operator, page).await
}

async fn of_webhooks(operator: &Operator, vault: &Vault) -> anyhow::Result<usize> {
    let page = async |tx: &mut Tx, after: Option<WebhookId>| {
        let rows = webhooks::of_all(tx, after, PAGE).await?;
        let mut count = 0;
        for row in &rows {
            let place = Place::of_webhook(row.workspace_id, row.id);
            let key = anew(vault, place, &row.signing_key)?;
            let before = row.previous_key.as_deref();
            let previous = before.map(|key| anew(vault, place, key)).transpose()?.flatten();
            if key.is_some() || previous.is_some() {
                let key = key.as_deref().unwrap_or(&row.signing_key);
                let previous = previous.as_deref().or(before);
                count += usize::from(webhooks::reseal(tx, row, key, previous).await?);
            }
        }
        Ok((count, rows.last().map(|row| row.id)))
    };
    pages(operator, page).await
}

async fn of_connections(operator: &Operator, vault: &Vault) -> anyhow::Result<usize> {
    let page = async |tx: &mut Tx, after: Option<ConnectionId>| {
        let rows = connections::of_all(tx, after, PAGE).await?;
        let mut count = 0;
        for row in &rows {
            let place = Place::of_connection(row.workspace_id, row.id);
            let Some(secret) = &row.secret else { continue };
            if let Some(sealed) = anew(vault, place, secret)? {
                count += usize::from(connections::reseal(tx, row, &sealed).await?);
            }
        }
        Ok((count, rows.last().map(|row| row.id)))
    };
    pages(operator, page).await
}
