//! Lists in pages: `?limit=&cursor=` in, `{data, next_cursor, has_more}` out.
//!
//! A page begins after the key of the last row of the page before it (keyset), so that rows which
//! come or go in between neither repeat nor hide others.
//! **Invariant:** a cursor continues the very list it came from: its signature covers the
//! workspace, the list and the filter.

use super::Caller;
use crate::{App, Error, Result};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::ExposeSecret;
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

/// Rows of a page when the caller names no number.
pub(crate) fn default_limit() -> u32 {
    50
}

/// Bytes of the signature: the cursor guards against mistakes and not against an attacker, who
/// would gain nothing that the list itself does not show.
const SIGNATURE: usize = 8;

/// One page to read: how many rows, and after which key.
pub(crate) struct Paging<K> {
    pub(crate) after: Option<K>,
    limit: usize,
    signer: Hmac<Sha256>,
}

/// One page read.
pub(crate) struct Slice<T> {
    pub(crate) data: Vec<T>,
    pub(crate) next_cursor: Option<String>,
}

impl<K: Serialize + DeserializeOwned> Paging<K> {
    /// Reads `limit` and `cursor` of the list `name`, filtered by `filter`.
    pub(crate) fn open(
        app: &App,
        caller: &Caller,
        name: &str,
        filter: &impl Serialize,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Self> {
        // The address of the database is what all instances of one installation share.
        let mut key = Sha256::new();
        key.update(b"aiv cursor\0");
        key.update(app.config.database.url.expose_secret());
        let mut signer = Hmac::<Sha256>::new_from_slice(&key.finalize())
            .map_err(|error| anyhow::anyhow!("cursor key: {error}"))?;
        let filter =
            serde_json::to_vec(&(caller.workspace, name, filter)).map_err(anyhow::Error::from)?;
        signer.update(&filter);
        let mut paging = Paging { after: None, limit: limit as usize, signer };
        if let Some(cursor) = cursor {
            paging.after = Some(paging.read(cursor).ok_or_else(|| {
                Error::Malformed(
                    "`cursor` does not continue this list: repeat the filter it came with, or \
                     start without a cursor"
                        .into(),
                )
            })?);
        }
        Ok(paging)
    }

    /// Rows to ask the store for: one more than shown, to know whether others follow.
    pub(crate) fn fetch(&self) -> i64 {
        i64::try_from(self.limit).unwrap_or(i64::MAX).saturating_add(1)
    }

    /// Makes a page of the rows that the store gave.
    pub(crate) fn close<R, T: From<R>>(
        self,
        rows: Vec<R>,
        key: impl Fn(&R) -> K,
    ) -> Result<Slice<T>> {
        self.close_with(rows, key, T::from)
    }

    /// As [`Paging::close`], for rows that `show` makes documents of.
    pub(crate) fn close_with<R, T>(
        self,
        mut rows: Vec<R>,
        key: impl Fn(&R) -> K,
        show: impl FnMut(R) -> T,
    ) -> Result<Slice<T>> {
        let more = rows.len() > self.limit;
        rows.truncate(self.limit);
        let next_cursor = match rows.last() {
            Some(last) if more => Some(self.write(&key(last))?),
            _ => None,
        };
        Ok(Slice { data: rows.into_iter().map(show).collect(), next_cursor })
    }

    fn read(&self, cursor: &str) -> Option<K> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (signature, key) = bytes.split_at_checked(SIGNATURE)?;
        let signer = self.signer.clone().chain_update(key);
        signer.verify_truncated_left(signature).ok()?;
        serde_json::from_slice(key).ok()
    }

    fn write(&self, key: &K) -> Result<String> {
        let key = serde_json::to_vec(key).map_err(anyhow::Error::from)?;
        let signature = self.signer.clone().chain_update(&key).finalize().into_bytes();
        let mut bytes = signature[..SIGNATURE].to_vec();
        bytes.extend(key);
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }
}

/// Declares the page of a list. A plain type each, because generic ones get unreadable names in
/// generated clients.
macro_rules! page {
    ($(#[$doc:meta])* $name:ident of $item:ty) => {
        $(#[$doc])*
        #[derive(poem_openapi::Object)]
        #[oai(skip_serializing_if_is_none)]
        pub(super) struct $name {
            /// The rows of this page.
            data: Vec<$item>,
            /// Pass it as `cursor` for the page that follows; absent on the last page.
            next_cursor: Option<String>,
            /// Whether rows follow this page.
            has_more: bool,
        }

        impl From<$crate::api::page::Slice<$item>> for $name {
            fn from(slice: $crate::api::page::Slice<$item>) -> Self {
                let $crate::api::page::Slice { data, next_cursor } = slice;
                $name { data, has_more: next_cursor.is_some(), next_cursor }
            }
        }
    };
}
pub(super) use page;
