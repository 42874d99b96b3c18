//! A request body that is checked against its published schema before a handler sees it.
//!
//! **Invariant:** the schema that refuses a body is the one in `/openapi.json`; there is no second
//! set of rules. Rules that a schema cannot express are checked by the handler, by pointer too.

use super::{Problem, openapi};
use crate::{Error, Violation};
use jsonschema::{ValidationError, error::ValidationErrorKind};
use poem::{FromRequest, Request, RequestBody, Result, http::StatusCode};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    payload::{Json, Payload},
    registry::{MetaMediaType, MetaRequest, MetaSchema, MetaSchemaRef, Registry},
    types::ParseFromJSON,
};
use serde_json::Value;

/// More broken rules than this are not listed: nobody reads them.
const LISTED: usize = 50;

/// Doubles below this are exact when they are whole.
const EXACT: f64 = 9_007_199_254_740_992.0;
const NO_NUL: &str = "must not hold U+0000";

/// The media type of components.
pub(super) const COMPONENT: &str = "application/wasm";

/// The request body as a `T`.
pub(crate) struct Body<T>(pub T);

impl<T: ParseFromJSON> Body<T> {
    fn parse(bytes: &[u8]) -> Result<Self, Problem> {
        let value: Value = serde_json::from_slice(bytes).map_err(|error| {
            let detail = format!("the body is not JSON: {error}");
            Problem::new(StatusCode::BAD_REQUEST, "malformed", detail)
        })?;
        Self::of(value)
    }

    /// The same for a document that came in another format.
    pub(super) fn of(mut value: Value) -> Result<Self, Problem> {
        let mut violations = violations(&T::name(), &value)?;
        if violations.is_empty() {
            settle(&mut value, "", &mut violations);
        }
        if !violations.is_empty() {
            return Err(Error::Invalid(violations).into());
        }
        T::parse_from_json(Some(value)).map(Body).map_err(|error| {
            // Reached only by what the schema lets through.
            Error::invalid("", error.into_message()).into()
        })
    }
}

/// Every rule of the schema called `name` that `value` breaks.
fn violations(name: &str, value: &Value) -> Result<Vec<Violation>, Problem> {
    let Some(validator) = openapi::validator(name) else {
        return Err(Problem::internal(&format!("no schema is called {name}")));
    };
    Ok(of_errors(validator.iter_errors(value)).into_iter().take(LISTED).collect())
}

/// What is wrong, in words. A text that breaks another rule is not told how it should look, too.
pub(super) fn of_errors<'a>(errors: impl Iterator<Item = ValidationError<'a>>) -> Vec<Violation> {
    let is_look =
        |error: &ValidationError<'_>| matches!(error.kind(), ValidationErrorKind::Pattern { .. });
    let (looks, others): (Vec<_>, Vec<_>) = errors.partition(is_look);
    let mut violations: Vec<_> = others.iter().flat_map(of_error).collect();
    for look in looks.iter().flat_map(of_error) {
        if violations.iter().all(|known| known.pointer != look.pointer) {
            violations.push(look);
        }
    }
    violations
}

/// What schemas leave open: `5.0` is the integer 5, and values of any form hold texts too.
fn settle(value: &mut Value, pointer: &str, violations: &mut Vec<Violation>) {
    match value {
        Value::String(text) if text.contains('\0') => {
            violations.push(Violation { pointer: pointer.into(), detail: NO_NUL.into() });
        }
        Value::Number(number) if number.is_f64() => {
            let whole = number.as_f64().filter(|n| n.fract() == 0.0 && n.abs() < EXACT);
            #[expect(clippy::cast_possible_truncation, reason = "it is whole and small enough")]
            if let Some(whole) = whole {
                *value = (whole as i64).into();
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter_mut().enumerate() {
                settle(value, &format!("{pointer}/{index}"), violations);
            }
        }
        Value::Object(map) => {
            if map.keys().any(|name| name.contains('\0')) {
                violations.push(Violation { pointer: pointer.into(), detail: NO_NUL.into() });
            }
            map.iter_mut()
                .for_each(|(name, value)| settle(value, &below(pointer, name), violations));
        }
        _ => {}
    }
}

fn of_error(error: &ValidationError<'_>) -> Vec<Violation> {
    let parent = error.instance_path().to_string();
    match error.kind() {
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            vec![violation(&parent, name, "is required")]
        }
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            unexpected.iter().map(|name| violation(&parent, name, "is not known here")).collect()
        }
        // The masked text does not repeat what was sent: it may be long, or a secret.
        kind => {
            let told = match kind {
                ValidationErrorKind::Pattern { pattern } => openapi::detail_of(pattern),
                _ => None,
            };
            let detail = told.map_or_else(|| error.masked().to_string(), Into::into);
            vec![Violation { pointer: parent, detail }]
        }
    }
}

fn violation(parent: &str, name: &str, detail: &str) -> Violation {
    Violation { pointer: below(parent, name), detail: detail.into() }
}

/// The JSON pointer of what is called `name` there.
fn below(parent: &str, name: &str) -> String {
    format!("{parent}/{}", name.replace('~', "~0").replace('/', "~1"))
}

impl<'a, T: ParseFromJSON> ApiExtractor<'a> for Body<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        let content =
            vec![MetaMediaType { content_type: "application/json", schema: T::schema_ref() }];
        Some(MetaRequest { description: None, content, required: true })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> Result<Self> {
        if !request.content_type().is_some_and(Json::<Value>::check_content_type) {
            let detail = "send the body as `Content-Type: application/json`";
            return Err(Problem::unsupported(detail).into());
        }
        let bytes = <Vec<u8> as FromRequest>::from_request(request, body).await?;
        Ok(Self::parse(&bytes)?)
    }
}

/// The request body as the bytes of a component, or as a `T` that says where they are.
pub(crate) enum Component<T> {
    Bytes(Vec<u8>),
    Elsewhere(T),
}

impl<'a, T: ParseFromJSON> ApiExtractor<'a> for Component<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        let schema =
            MetaSchemaRef::Inline(Box::new(MetaSchema::new_with_format("string", "binary")));
        let content = vec![
            MetaMediaType { content_type: COMPONENT, schema },
            MetaMediaType { content_type: "application/json", schema: T::schema_ref() },
        ];
        Some(MetaRequest { description: None, content, required: true })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> Result<Self> {
        let kind = request.content_type();
        let bytes = <Vec<u8> as FromRequest>::from_request(request, body).await?;
        if kind == Some(COMPONENT) {
            Ok(Component::Bytes(bytes))
        } else if kind.is_some_and(Json::<Value>::check_content_type) {
            Ok(Component::Elsewhere(Body::parse(&bytes)?.0))
        } else {
            let detail = format!(
                "send the component as `Content-Type: {COMPONENT}`, or its address as \
                 `Content-Type: application/json`"
            );
            Err(Problem::unsupported(detail).into())
        }
    }
}
