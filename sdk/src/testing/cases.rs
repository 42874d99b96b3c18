//! Conformance cases: a directory each, with `case.json` and the bodies of the responses.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Run, compare, run};
use crate::json::{Json, items_at, str_at, u32_at};
use crate::{Body, HttpResponse, Provider, Query, TransportError};

/// Runs every case in `directory`, or the one that it is, and tells what differs, a line for each
/// difference. The second part is the number of cases.
///
/// # Errors
/// When a case cannot be read.
pub fn check<P: Provider>(directory: impl AsRef<Path>) -> Result<(Vec<String>, usize), String> {
    let directory = directory.as_ref();
    let mut paths: Vec<PathBuf> = fs::read_dir(directory)
        .map_err(|error| format!("{}: {error}", directory.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .chain([directory.to_owned()])
        .filter(|path| path.join("case.json").is_file())
        .collect();
    paths.sort();
    let mut differences = Vec::new();
    for path in &paths {
        let case = Case::read(path)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let found = case.check::<P>()?;
        differences.extend(found.into_iter().map(|difference| format!("{name}: {difference}")));
    }
    Ok((differences, paths.len()))
}

/// One case, read from its directory.
struct Case {
    directory: PathBuf,
    json: Json,
}

impl Case {
    fn read(directory: &Path) -> Result<Self, String> {
        let path = directory.join("case.json");
        let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        let json = serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(Self { directory: directory.to_owned(), json })
    }

    fn check<P: Provider>(&self) -> Result<Vec<String>, String> {
        let steps = items_at(&self.json, "/steps");
        let replies = steps.iter().map(|step| self.reply(step)).collect::<Result<Vec<_>, _>>()?;
        let Run { requests, ending } = run::<P>(self.query(), replies);
        let mut differences = Vec::new();
        if requests.len() > steps.len() {
            differences.push(format!("more than {} requests", steps.len()));
        }
        for (number, (step, request)) in steps.iter().zip(&requests).enumerate() {
            let found = compare::request(&step["request"], request);
            differences.extend(found.into_iter().map(|d| format!("request {}: {d}", number + 1)));
        }
        differences.extend(compare::ending(&self.json["expect"], &ending));
        Ok(differences)
    }

    fn now(&self) -> f64 {
        self.json.pointer("/config/now_epoch_s").and_then(Json::as_f64).unwrap_or(1_800_000_000.0)
    }

    /// The clock of the configuration is the host's; all else is the plugin's.
    fn query(&self) -> Query {
        let text = |path| str_at(&self.json, path).map(str::to_owned);
        let mut config = self.json.get("config").cloned().unwrap_or_default();
        if let Some(config) = config.as_object_mut() {
            config.remove("now_epoch_s");
        } else {
            config = Json::Object(serde_json::Map::new());
        }
        Query {
            model: text("/model"),
            language: text("/location/language"),
            country: text("/location/country"),
            location: text("/location/location").or_else(|| text("/location/city")),
            device: text("/location/device"),
            config: config.to_string(),
            now_unix: self.now(),
            seed: u32_at(&self.json, "/seed").unwrap_or(1),
            ..super::query(
                &text("/surface").unwrap_or_default(),
                &text("/prompt").unwrap_or_default(),
            )
        }
    }

    fn reply(&self, step: &Json) -> Result<Result<HttpResponse, TransportError>, String> {
        if let Some(transport) = str_at(step, "/transport") {
            return Ok(Err(match transport {
                "timeout" => TransportError::Timeout,
                "dns" => TransportError::Dns,
                "tls" => TransportError::Tls,
                "connect" => TransportError::Connect,
                "too-large" => TransportError::TooLarge,
                _ => TransportError::Reset,
            }));
        }
        let status = u32_at(step, "/response/status").and_then(|status| u16::try_from(status).ok());
        let headers = step.pointer("/response/headers").and_then(Json::as_object);
        let bytes = match str_at(step, "/response/body") {
            Some(name) => {
                let path = self.directory.join(name);
                fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?
            }
            None => Vec::new(),
        };
        Ok(Ok(HttpResponse {
            status: status.ok_or("a step needs a status")?,
            headers: headers
                .into_iter()
                .flatten()
                .map(|(name, value)| {
                    (name.to_ascii_lowercase(), value.as_str().unwrap_or_default().to_owned())
                })
                .collect(),
            body: String::from_utf8(bytes)
                .map_or_else(|error| Body::Binary(error.into_bytes()), Body::Text),
            elapsed_ms: 1,
            received_at: self.now(),
        }))
    }
}
