//! API keys, and what is known of those that were presented lately.

use super::{BELIEVED, Caller, Principal, REMEMBERED, refused};
use crate::{
    App, Error,
    api::{Problem, addresses},
    ids::ApiKeyId,
    store::api_keys,
};
use chrono::{DateTime, TimeDelta, Utc};
use ipnet::IpNet;
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The last use of a key is noted when the note is older than this.
const NOTED: TimeDelta = TimeDelta::minutes(5);

/// What is known of the keys that were presented lately, unknown ones included.
#[derive(Default)]
pub(crate) struct KeyCache(Mutex<HashMap<[u8; 32], Known>>);

#[derive(Clone)]
struct Known {
    since: Instant,
    /// `None` for a key that nobody was given.
    key: Option<Key>,
}

#[derive(Clone)]
struct Key {
    id: ApiKeyId,
    caller: Caller,
    /// Where it may be used; everywhere when `None`.
    allowed: Option<Arc<[IpNet]>>,
}

impl KeyCache {
    fn find(&self, hash: &[u8; 32]) -> Option<Known> {
        let keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        keys.get(hash).filter(|known| known.since.elapsed() < BELIEVED).cloned()
    }

    fn insert(&self, hash: [u8; 32], key: Option<Key>) {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= REMEMBERED {
            keys.retain(|_, known| known.since.elapsed() < BELIEVED);
            if keys.len() >= REMEMBERED {
                keys.clear();
            }
        }
        keys.insert(hash, Known { since: Instant::now(), key });
    }

    /// Forgets a key at once: it was revoked here.
    pub(crate) fn forget(&self, id: ApiKeyId) {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        keys.retain(|_, known| known.key.as_ref().is_none_or(|key| key.id != id));
    }
}

/// The caller that the key of this hash proves, when it is used from `address`.
pub(super) async fn look_up(
    app: &App,
    cache: &KeyCache,
    hash: [u8; 32],
    address: Option<IpAddr>,
) -> Result<Caller, Problem> {
    let key = match cache.find(&hash) {
        Some(known) => known.key,
        None => read(app, cache, hash).await?,
    };
    let now = app.clock.now();
    let holds = |key: &Key| key.caller.expires_at.is_none_or(|end| now < end);
    let key = key.filter(holds).ok_or_else(refused)?;
    if let Some(allowed) = &key.allowed {
        // An address that is not known is not on the list.
        if !address.is_some_and(|address| addresses::contain(allowed, address)) {
            let detail = "the key may not be used from this address";
            return Err(Error::Forbidden(detail.into()).into());
        }
    }
    Ok(key.caller)
}

async fn read(app: &App, cache: &KeyCache, hash: [u8; 32]) -> crate::Result<Option<Key>> {
    let mut conn = app.store.read().await?;
    let row = api_keys::find_by_hash(&mut conn, &hash).await?;
    drop(conn);
    let row = row.filter(|row| row.revoked_at.is_none());
    let now = app.clock.now();
    if let Some(row) = &row
        && row.last_used_at.is_none_or(|last| now - last > NOTED)
    {
        note_use(app, row, now).await;
    }
    let key = row.map(key_of).transpose()?;
    cache.insert(hash, key.clone());
    Ok(key)
}

fn key_of(row: api_keys::ApiKey) -> crate::Result<Key> {
    // A network that cannot be read must not widen what the key may do.
    let allowed = row.allowed_ips.map(|list| addresses::networks(&list.0)).transpose()?;
    let caller = Caller {
        workspace: row.workspace_id,
        principal: Principal::Key(row.id),
        name: row.name.into(),
        role: row.role,
        scopes: row.scopes.0.into(),
        expires_at: row.expires_at,
        request_id: Arc::default(),
    };
    Ok(Key { id: row.id, caller, allowed: allowed.map(Into::into) })
}

/// Notes when a key was last used. A busy database is no reason to refuse the caller.
async fn note_use(app: &App, row: &api_keys::ApiKey, now: DateTime<Utc>) {
    let note = async {
        let mut tx = app.store.begin().await?;
        api_keys::touch(&mut tx, row.workspace_id, row.id, now).await?;
        tx.commit().await?;
        Ok::<(), Error>(())
    };
    match tokio::time::timeout(Duration::from_millis(250), note).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!("the use of a key was not noted: {error}"),
        Err(_) => tracing::debug!("the use of a key was not noted in time"),
    }
}
