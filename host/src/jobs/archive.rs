//! A `.tar.gz` that is made piece by piece.
//!
//! Each piece is a gzip member of its own; put one after the other they are one gzip file, and
//! unpacked they are one tar file. So no piece needs to know of the others.

use crate::Result;
use anyhow::{Context as _, ensure};
use async_compression::tokio::bufread::GzipEncoder;
use chrono::{DateTime, Utc};
use tokio::io::AsyncReadExt;

/// Bytes of a block: headers and contents begin on one.
const BLOCK: usize = 512;

/// A piece with one file.
pub(super) async fn file(name: &str, content: &[u8], at: DateTime<Utc>) -> Result<Vec<u8>> {
    let mut tar = header(name, content.len(), at)?.to_vec();
    tar.extend_from_slice(content);
    tar.resize(tar.len().next_multiple_of(BLOCK), 0);
    pack(&tar).await
}

/// The last piece: two empty blocks.
pub(super) async fn end() -> Result<Vec<u8>> {
    pack(&[0; 2 * BLOCK]).await
}

async fn pack(plain: &[u8]) -> Result<Vec<u8>> {
    let mut packed = Vec::with_capacity(plain.len() / 4);
    GzipEncoder::new(plain).read_to_end(&mut packed).await.context("compress a file")?;
    Ok(packed)
}

/// POSIX `ustar`.
fn header(name: &str, size: usize, at: DateTime<Utc>) -> Result<[u8; BLOCK]> {
    let mut header = [0_u8; BLOCK];
    ensure_fits(name.len() <= 100, "a file name of an archive has more than 100 bytes")?;
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, name.as_bytes());
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{size:011o}\0").as_bytes());
    put(136, format!("{:011o}\0", at.timestamp().max(0)).as_bytes());
    // The sum is taken with blanks in its own place.
    put(148, b"        ");
    put(156, b"0");
    put(257, b"ustar\0");
    put(263, b"00");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Ok(header)
}

fn ensure_fits(holds: bool, why: &'static str) -> anyhow::Result<()> {
    ensure!(holds, why);
    Ok(())
}
