use super::{Body, Caller, Deleted, Operator, Problem, Tag, types::Timestamp};
use crate::{
    Error, Result,
    providers::signature,
    store::{
        audit_logs,
        publisher_keys::{self, PublisherKey as Row},
    },
};
use poem_openapi::{Object, OpenApi, param::Path, payload::Json};
use serde_json::json;

/// A publisher whose components are trusted.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
struct PublisherKey {
    /// Ed25519, in hexadecimal.
    public_key: String,
    name: String,
    added_by: String,
    created_at: Timestamp,
    /// Since when it is trusted no longer.
    revoked_at: Option<Timestamp>,
}

/// Every key of a publisher.
#[derive(Object)]
struct PublisherKeyList {
    data: Vec<PublisherKey>,
}

/// A publisher to trust.
#[derive(Object)]
struct NewPublisherKey {
    #[oai(validator(min_length = 1, max_length = 100))]
    name: String,
}

pub(in crate::api) struct Api(pub(super) Operator);

#[OpenApi(tag = "Tag::Operations")]
impl Api {
    /// List the keys of publishers
    ///
    /// With `PLUGIN_SIGNATURES=trusted`, only components that are signed by one of these can be
    /// installed.
    #[oai(path = "/admin/publisher-keys", method = "get", operation_id = "list_publisher_keys")]
    async fn list(&self, _caller: Caller) -> Result<Json<PublisherKeyList>, Problem> {
        let mut conn = self.0.app.store.read().await?;
        let rows = publisher_keys::list(&mut conn).await?;
        Ok(Json(PublisherKeyList { data: rows.into_iter().map(Into::into).collect() }))
    }

    /// Trust the key of a publisher
    #[oai(
        path = "/admin/publisher-keys/:public_key",
        method = "put",
        operation_id = "save_publisher_key"
    )]
    async fn save(
        &self,
        caller: Caller,
        /// Ed25519, in hexadecimal.
        public_key: Path<String>,
        new: Body<NewPublisherKey>,
    ) -> Result<Json<PublisherKey>, Problem> {
        let (actor, now) = (caller.operator(), self.0.app.clock.now());
        let row = Row {
            public_key: read(&public_key.0)?,
            name: new.0.name,
            added_by: actor.name.clone(),
            created_at: now,
            revoked_at: None,
        };
        let mut tx = self.0.app.store.begin().await?;
        publisher_keys::save(&mut tx, &row).await?;
        let what = json!({"name": row.name});
        audit_logs::note(&mut tx, &actor, "publisher_key.save", &public_key.0, what, now).await?;
        tx.commit().await?;
        Ok(Json(row.into()))
    }

    /// Revoke the key of a publisher
    ///
    /// Its components can be activated no longer; those in service stay until something else is
    /// activated.
    #[oai(
        path = "/admin/publisher-keys/:public_key",
        method = "delete",
        operation_id = "revoke_publisher_key"
    )]
    async fn revoke(
        &self,
        caller: Caller,
        /// Ed25519, in hexadecimal.
        public_key: Path<String>,
    ) -> Result<Deleted, Problem> {
        let (actor, now) = (caller.operator(), self.0.app.clock.now());
        let key = read(&public_key.0)?;
        let mut tx = self.0.app.store.begin().await?;
        publisher_keys::revoke(&mut tx, &key, now).await?;
        let what = json!({});
        audit_logs::note(&mut tx, &actor, "publisher_key.revoke", &public_key.0, what, now).await?;
        tx.commit().await?;
        Ok(Deleted::Gone)
    }
}

/// A key that stands in the path.
fn read(text: &str) -> Result<Vec<u8>> {
    signature::public_key(text).map_err(|_| {
        Error::Malformed("`public_key` must be an Ed25519 key: 64 hexadecimal digits".into())
    })
}

impl From<Row> for PublisherKey {
    fn from(row: Row) -> Self {
        let Row { public_key, name, added_by, created_at, revoked_at } = row;
        PublisherKey {
            public_key: hex::encode(public_key),
            name,
            added_by,
            created_at: created_at.into(),
            revoked_at: revoked_at.map(Into::into),
        }
    }
}
