//! The published description of the API, and what is made of it: validators and routes.
//!
//! poem-openapi describes the operations from their types, as OpenAPI 3.0; [`upgrade`] makes a
//! sound 3.1 document of it. `host/openapi.json` is that document, committed so that a change of
//! the API is seen in review; a test compares the two.

use super::Apis;
use jsonschema::Validator;
use poem_openapi::{
    LicenseObject, OpenApi, OpenApiService,
    registry::{MetaApi, Registry},
};
use serde_json::{Map, Value, json};
use std::{
    collections::HashMap,
    marker::PhantomData,
    sync::{LazyLock, OnceLock},
};

mod examples;
mod limits;
mod upgrade;
mod yaml;

pub(super) use self::{limits::detail_of, yaml::to_yaml};

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let service = OpenApiService::new(
        Described::<Apis>(PhantomData),
        "AI Visibility",
        env!("CARGO_PKG_VERSION"),
    )
    .summary("How answer engines name and cite brands")
    .description(include_str!("introduction.md"))
    .license(LicenseObject::new("Apache-2.0").url("https://www.apache.org/licenses/LICENSE-2.0"))
    .server("/")
    .url_prefix("/v1");
    // The generator writes what it serialised itself: that it is JSON is its own invariant.
    let emitted = serde_json::from_str(&service.spec()).unwrap_or(Value::Null);
    upgrade::upgrade(emitted)
});

/// A validator for each schema of the document, by the schema's name; made when it is first needed.
static VALIDATORS: LazyLock<HashMap<&str, OnceLock<Option<Validator>>>> = LazyLock::new(|| {
    let schemas = document()["components"]["schemas"].as_object();
    let names = schemas.into_iter().flat_map(|schemas| schemas.keys());
    names.map(|name| (name.as_str(), OnceLock::new())).collect()
});

fn build_validator(name: &str) -> Option<Validator> {
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$ref": format!("{SCHEMAS}{name}"),
        "components": { "schemas": reachable(name) },
    });
    match jsonschema::options().should_validate_formats(true).build(&schema) {
        Ok(validator) => Some(validator),
        Err(error) => {
            tracing::error!("schema {name} cannot be checked against: {error}");
            None
        }
    }
}

const SCHEMAS: &str = "#/components/schemas/";

/// The schema called `name` and those that it refers to: a validator keeps all that it is given.
fn reachable(name: &str) -> Map<String, Value> {
    let schemas = &document()["components"]["schemas"];
    let mut found = Map::new();
    let mut open = vec![name];
    while let Some(name) = open.pop() {
        let Some(schema) = schemas.get(name).filter(|_| !found.contains_key(name)) else {
            continue;
        };
        found.insert(name.to_owned(), schema.clone());
        let mut values = vec![schema];
        while let Some(value) = values.pop() {
            match value {
                Value::Object(fields) => {
                    let to = fields.get("$ref").and_then(Value::as_str);
                    open.extend(to.and_then(|to| to.strip_prefix(SCHEMAS)));
                    values.extend(fields.values());
                }
                Value::Array(items) => values.extend(items),
                _ => {}
            }
        }
    }
    found
}

/// The document, as OpenAPI 3.1.
pub(super) fn document() -> &'static Value {
    &DOCUMENT
}

/// A validator of the schema called `name`.
pub(super) fn validator(name: &str) -> Option<&'static Validator> {
    VALIDATORS.get(name)?.get_or_init(|| build_validator(name)).as_ref()
}

/// The description of an API without the API: no state is needed to describe it.
struct Described<T>(PhantomData<T>);

impl<T: OpenApi> OpenApi for Described<T> {
    fn meta() -> Vec<MetaApi> {
        T::meta()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn add_routes(
        self,
        _routes: &mut HashMap<
            String,
            HashMap<poem::http::Method, poem::endpoint::BoxEndpoint<'static>>,
        >,
    ) {
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schema_can_be_checked_against() {
        let schemas = document()["components"]["schemas"].as_object().unwrap();
        let missing: Vec<_> = schemas.keys().filter(|name| validator(name).is_none()).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
