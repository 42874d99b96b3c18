use super::{Conn, bulk::Rows, on_db};
use crate::{Result, ids::WorkspaceId};
use anyhow::Context;
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use sqlx::query_scalar;
use std::cell::RefCell;
use zstd::bulk::Compressor;

/// What an engine sent, compressed and named by what it says.
#[derive(Debug, Clone)]
pub struct RawPayload {
    /// SHA-256 of the uncompressed bytes.
    pub digest: Vec<u8>,
    /// zstd.
    pub bytes: Vec<u8>,
    /// Of the uncompressed bytes.
    pub size: i64,
}

/// Level 3 takes a fifth of the time of level 9 and is within a tenth of its size.
const LEVEL: i32 = 1;

impl RawPayload {
    pub fn new(document: &[u8]) -> Result<Self> {
        Ok(RawPayload {
            digest: Sha256::digest(document).to_vec(),
            bytes: compress(document).context("compress a raw answer")?,
            size: i64::try_from(document.len()).context("raw answer too large")?,
        })
    }
}

thread_local! {
    /// Its tables are larger than most answers and cost more to set up than to use.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
}

fn compress(document: &[u8]) -> std::io::Result<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|kept| {
        let compressor = match kept {
            Some(compressor) => compressor,
            None => kept.insert(Compressor::new(LEVEL)?),
        };
        compressor.compress(document)
    })
}

/// Keeps payloads; one that is there already is the same by its name.
pub async fn insert(
    conn: &mut Conn,
    payloads: &mut [(WorkspaceId, &RawPayload)],
    now: DateTime<Utc>,
) -> Result<()> {
    // Two processes may keep the same ones.
    payloads.sort_unstable_by_key(|(workspace, payload)| (*workspace, &payload.digest));
    Rows::new(payloads)
        .column("workspace_id", |(workspace, _)| *workspace)
        .column("digest", |(_, payload)| payload.digest.as_slice())
        .column("bytes", |(_, payload)| payload.bytes.as_slice())
        .column("size", |(_, payload)| payload.size)
        .column("created_at", |_| now)
        .insert(conn, "INSERT INTO raw_payloads", "ON CONFLICT DO NOTHING")
        .await
        .map(drop)
}

/// The uncompressed document.
pub async fn find(
    conn: &mut Conn,
    workspace: WorkspaceId,
    digest: &[u8],
) -> Result<Option<Vec<u8>>> {
    let bytes: Option<Vec<u8>> = on_db!(conn, |c| query_scalar(
        "SELECT bytes FROM raw_payloads WHERE workspace_id = $1 AND digest = $2",
    )
    .bind(workspace)
    .bind(digest)
    .fetch_optional(c)
    .await)?;
    bytes.map(|bytes| unpack(&bytes)).transpose()
}

/// The document that the stored bytes are of.
pub(super) fn unpack(bytes: &[u8]) -> Result<Vec<u8>> {
    Ok(zstd::decode_all(bytes).context("read a stored raw answer")?)
}
