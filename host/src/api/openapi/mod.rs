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
use serde_json::{Value, json};
use std::{collections::HashMap, marker::PhantomData, sync::LazyLock};

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

/// A validator for each schema of the document, by the schema's name.
static VALIDATORS: LazyLock<HashMap<String, Validator>> = LazyLock::new(|| {
    let schemas = document()["components"]["schemas"].as_object();
    let names = schemas.into_iter().flat_map(|schemas| schemas.keys());
    names.filter_map(|name| Some((name.clone(), build_validator(name)?))).collect()
});

/// A validator of the schema called `name`.
pub(super) fn build_validator(name: &str) -> Option<Validator> {
    let components = &document()["components"];
    components["schemas"].get(name)?;
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$ref": format!("#/components/schemas/{name}"),
        "components": components,
    });
    match jsonschema::options().should_validate_formats(true).build(&schema) {
        Ok(validator) => Some(validator),
        Err(error) => {
            tracing::error!("schema {name} cannot be checked against: {error}");
            None
        }
    }
}

/// The document, as OpenAPI 3.1.
pub(super) fn document() -> &'static Value {
    &DOCUMENT
}

pub(super) fn validator(name: &str) -> Option<&'static Validator> {
    VALIDATORS.get(name)
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
