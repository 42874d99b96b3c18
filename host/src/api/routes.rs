//! The operations by method and path, read from the published document.
//!
//! The edge finds the operation before poem does: it has to know what a request needs before it
//! lets the request in, and what to call it in metrics even when it is refused.

use super::access::{self, RULES, Rule};
use anyhow::{Context, ensure};
use poem::http::Method;
use serde_json::Value;
use std::collections::HashMap;

/// One operation of the API.
pub(super) struct Operation {
    /// Path with names in braces, such as `/v1/prompts/{prompt}`.
    pub(super) path: &'static str,
    pub(super) rule: &'static Rule,
    /// Names of the parameters in the path, in order.
    pub(super) path_names: Vec<String>,
    /// It takes a component, which is larger than other bodies and takes longer to look at.
    pub(super) takes_component: bool,
    query_names: Vec<String>,
}

impl Operation {
    /// The first query parameter that the operation does not know.
    pub(super) fn unknown_parameter(&self, query: &str) -> Option<String> {
        url::form_urlencoded::parse(query.as_bytes())
            .map(|(name, _)| name)
            .find(|name| !self.query_names.iter().any(|known| known == name))
            .map(std::borrow::Cow::into_owned)
    }

    pub(super) fn known_parameters(&self) -> String {
        match self.query_names.as_slice() {
            [] => "none".into(),
            names => names.join(", "),
        }
    }
}

/// What a request is for.
pub(super) enum Found<'a> {
    Operation(&'a Operation),
    /// The path exists, but not with this method; these are the ones it has.
    OtherMethods(&'static str, String),
    Nothing,
}

/// All operations.
pub(super) struct Routes(HashMap<usize, Vec<Path>>);

struct Path {
    template: &'static str,
    segments: Vec<Segment>,
    operations: Vec<(Method, Operation)>,
}

enum Segment {
    Is(String),
    Any,
}

impl Routes {
    /// Reads the document and proves that each operation has an access rule and each rule an
    /// operation.
    pub(super) fn read(document: &'static Value) -> anyhow::Result<Self> {
        let mut routes: HashMap<usize, Vec<Path>> = HashMap::new();
        let mut ruled = 0;
        let paths = document["paths"].as_object().context("the document has no paths")?;
        for (template, methods) in paths {
            let segments: Vec<Segment> =
                split(template)
                    .map(|part| {
                        if part.starts_with('{') { Segment::Any } else { Segment::Is(part.into()) }
                    })
                    .collect();
            let mut operations = Vec::new();
            for (method, operation) in methods.as_object().into_iter().flatten() {
                let method = Method::from_bytes(method.to_uppercase().as_bytes())?;
                let id = operation["operationId"]
                    .as_str()
                    .with_context(|| format!("{method} {template} has no operationId"))?;
                let rule = access::rule_of(id)
                    .with_context(|| format!("operation {id} has no access rule"))?;
                ensure!(
                    operation["security"].as_array().is_some_and(|list| !list.is_empty()),
                    "operation {id} does not ask who is calling"
                );
                ruled += 1;
                let names = |place: &str| {
                    let of = |p: &&Value| p["in"].as_str() == Some(place);
                    operation["parameters"]
                        .as_array()
                        .into_iter()
                        .flatten()
                        .filter(of)
                        .filter_map(|p| p["name"].as_str().map(str::to_owned))
                        .collect::<Vec<_>>()
                };
                operations.push((
                    method,
                    Operation {
                        path: template,
                        rule,
                        path_names: names("path"),
                        takes_component: operation["requestBody"]["content"]
                            .get(super::body::COMPONENT)
                            .is_some(),
                        query_names: names("query"),
                    },
                ));
            }
            let path = Path { template, segments, operations };
            routes.entry(path.segments.len()).or_default().push(path);
        }
        ensure!(ruled == RULES.len(), "there are access rules for operations that do not exist");
        for paths in routes.values_mut() {
            // `/v1/metrics/overview` before `/v1/metrics/{name}`.
            paths.sort_by_key(|p| p.segments.iter().filter(|s| matches!(s, Segment::Any)).count());
        }
        Ok(Routes(routes))
    }

    pub(super) fn find(&self, method: &Method, path: &str) -> Found<'_> {
        let parts: Vec<&str> = split(path).collect();
        let found = self.0.get(&parts.len()).into_iter().flatten().find(|path| {
            path.segments.iter().zip(&parts).all(|(segment, part)| match segment {
                Segment::Is(name) => name == part,
                Segment::Any => !part.is_empty(),
            })
        });
        let Some(path) = found else { return Found::Nothing };
        let wanted = if *method == Method::HEAD { &Method::GET } else { method };
        if let Some((_, operation)) = path.operations.iter().find(|(known, _)| known == wanted) {
            return Found::Operation(operation);
        }
        let mut allow: Vec<&str> =
            path.operations.iter().map(|(known, _)| known.as_str()).collect();
        if allow.contains(&"GET") {
            allow.push("HEAD");
        }
        allow.sort_unstable();
        Found::OtherMethods(path.template, allow.join(", "))
    }
}

fn split(path: &str) -> impl Iterator<Item = &str> {
    path.trim_start_matches('/').split('/')
}
