//! `Idempotency-Key`: a request that is repeated has one effect.
//!
//! The key is claimed in the transaction of the effect. So there is never an effect without its
//! record, nor a record without its effect: a request that failed left nothing, and may be
//! repeated with the same key once it is put right.

use super::{Caller, Problem, created::Located};
use crate::{
    Error,
    ids::WorkspaceId,
    store::{
        Tx,
        idempotency::{self, Record},
    },
};
use chrono::{DateTime, Utc};
use poem::{Request, RequestBody, Result, http::StatusCode};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaParamIn, MetaSchema, MetaSchemaRef},
    types::{ToJSON, Type},
};
use sha2::{Digest, Sha256};

/// The name in the standard's draft, and the one that older clients send.
pub(super) const HEADERS: [&str; 2] = ["idempotency-key", "x-idempotency-key"];
const LONGEST: usize = 255;

/// SHA-256 of a request's body, put there by the edge, which reads it.
#[derive(Clone, Copy)]
pub(super) struct BodyDigest(pub [u8; 32]);

/// The key that a caller gave this request, if any.
pub(crate) struct Once(Option<Claim>);

struct Claim {
    route: String,
    key: String,
    fingerprint: [u8; 32],
}

/// What to do with a request.
pub(crate) enum Begun {
    /// Do it, then [`Doing::finish`].
    First(Doing),
    /// It was done: answer the same.
    Again(Record),
}

/// A claimed key whose answer is not known yet.
pub(crate) struct Doing(Option<(WorkspaceId, Claim)>);

impl Once {
    pub(crate) async fn begin(
        self,
        tx: &mut Tx,
        caller: &Caller,
        now: DateTime<Utc>,
    ) -> Result<Begun, Problem> {
        let Some(mut claim) = self.0 else { return Ok(Begun::First(Doing(None))) };
        // What one principal did is no answer for another one.
        claim.route = format!("{} {}", caller.label(), claim.route);
        let Claim { route, key, fingerprint } = &claim;
        let found = idempotency::begin(tx, caller.workspace, route, key, fingerprint, now).await?;
        match found {
            None => Ok(Begun::First(Doing(Some((caller.workspace, claim))))),
            Some(record) if record.fingerprint == fingerprint => Ok(Begun::Again(record)),
            Some(_) => Err(Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency_key_reused",
                "this idempotency key came with another request body before: use a new key",
            )),
        }
    }
}

impl Doing {
    /// Keeps the answer, in the transaction of what it tells.
    pub(crate) async fn finish<T: ToJSON, const STATUS: u16>(
        self,
        tx: &mut Tx,
        answer: &Located<T, STATUS>,
    ) -> crate::Result<()> {
        let Some((workspace, Claim { route, key, .. })) = self.0 else { return Ok(()) };
        let (headers, body) = (answer.headers.clone(), answer.body.as_bytes());
        idempotency::finish(tx, workspace, &route, &key, STATUS, headers, body).await
    }
}

fn read(request: &Request) -> crate::Result<Option<Claim>> {
    let Some(value) = HEADERS.iter().find_map(|name| request.headers().get(*name)) else {
        return Ok(None);
    };
    // The draft wants a quoted string; a bare token is what most clients send.
    let key = value.to_str().unwrap_or_default().trim().trim_matches('"');
    if key.is_empty() || key.len() > LONGEST || !key.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Error::Malformed(format!(
            "`Idempotency-Key` must be 1 to {LONGEST} visible ASCII characters"
        )));
    }
    let Some(BodyDigest(body)) = request.data::<BodyDigest>() else {
        return Err(Error::Internal(anyhow::anyhow!("the edge did not digest the body")));
    };
    let path = request.original_uri().path();
    let route = format!("{} {path}", request.method());
    let query = request.original_uri().query().unwrap_or_default();
    let fingerprint = Sha256::new().chain_update(body).chain_update(query).finalize().into();
    Ok(Some(Claim { route, key: key.to_owned(), fingerprint }))
}

impl<'a> ApiExtractor<'a> for Once {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::Parameter];

    type ParamType = String;
    type ParamRawType = String;

    fn param_in() -> Option<MetaParamIn> {
        Some(MetaParamIn::Header)
    }

    fn param_schema_ref() -> Option<MetaSchemaRef> {
        let schema = MetaSchema {
            max_length: Some(LONGEST),
            min_length: Some(1),
            pattern: Some(r#"^"?[!#-~][!-~]*$"#.into()),
            ..MetaSchema::ANY
        };
        Some(String::schema_ref().merge(schema))
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<String>,
    ) -> Result<Self> {
        Ok(Once(read(request).map_err(Problem::from)?))
    }
}
