//! Whether a manifest can be offered to an operator.
//!
//! **Invariant:** every problem is listed, so that an author fixes them in one go.

use std::collections::HashSet;
use std::fmt::Display;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use semver::Version;
use serde_json::Value;

use crate::error::ManifestProblem;
use crate::types::{Manifest, Surface};

/// Top-level names that never leave the machine or the network it stands in.
const LOCAL: [&str; 8] =
    ["localhost", "local", "internal", "intranet", "lan", "home", "corp", "localdomain"];
const MAX_KEY: usize = 40;
const MAX_NAME: usize = 100;
const MAX_TEXT: usize = 2_000;
const MAX_ITEMS: usize = 50;
const MAX_SCHEMA: usize = 64 << 10;

/// All that is wrong with a manifest; nothing when it is acceptable.
pub fn check_manifest(manifest: &Manifest, allow_local_hosts: bool) -> Vec<ManifestProblem> {
    let mut found = Problems::default();
    found.slug("key", &manifest.key);
    found.text("display_name", &manifest.display_name, MAX_NAME);
    found.at_most("description", manifest.description.len(), MAX_TEXT);
    if let Err(error) = Version::parse(&manifest.version) {
        found.add("version", format!("{:?} is not a semantic version: {error}", manifest.version));
    }
    if let Some(homepage) = &manifest.homepage
        && !url::Url::parse(homepage).is_ok_and(|url| matches!(url.scheme(), "https" | "http"))
    {
        found.add("homepage", format!("{homepage:?} is not a web address"));
    }
    hosts(&mut found, manifest, allow_local_hosts);
    credentials(&mut found, manifest);
    config_schema(&mut found, &manifest.config_schema);
    surfaces(&mut found, &manifest.surfaces);
    found.at_most("extra", manifest.extra.len(), MAX_ITEMS);
    found.0
}

/// Whether this can be the key of a provider: it can stand in a URL, a metric and a file name.
pub fn is_slug(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && !text.ends_with('-')
        && text.len() <= MAX_KEY
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// What an operator should know about an acceptable manifest.
pub(crate) fn warnings(manifest: &Manifest) -> Vec<String> {
    let mut warnings = Vec::new();
    for surface in &manifest.surfaces {
        if surface.typical_cost_micro_usd == 0 {
            warnings.push(format!(
                "surface {} has no typical cost: budgets cannot reserve for it",
                surface.id
            ));
        }
    }
    for credential in &manifest.credentials {
        if credential.description.trim().is_empty() {
            warnings.push(format!("credential {} has no description", credential.name));
        }
    }
    warnings
}

#[derive(Default)]
struct Problems(Vec<ManifestProblem>);

impl Problems {
    fn add(&mut self, at: impl Into<String>, problem: impl Into<String>) {
        self.0.push(ManifestProblem { at: at.into(), problem: problem.into() });
    }

    fn at_most(&mut self, at: &str, len: usize, max: usize) {
        if len > max {
            self.add(at, format!("{len} is more than the {max} allowed"));
        }
    }

    fn text(&mut self, at: &str, text: &str, max: usize) {
        if text.trim().is_empty() {
            self.add(at, "is empty");
        }
        self.at_most(at, text.len(), max);
    }

    fn slug(&mut self, at: &str, text: &str) {
        if !is_slug(text) {
            self.add(
                at,
                format!("{text:?} does not match [a-z][a-z0-9-]*, at most {MAX_KEY} long"),
            );
        }
    }

    fn within<T>(&mut self, at: &str, value: &T, range: &RangeInclusive<T>)
    where
        T: PartialOrd + Display,
    {
        if !range.contains(value) {
            let (from, to) = (range.start(), range.end());
            self.add(at, format!("{value} is not between {from} and {to}"));
        }
    }

    fn unique<'a>(&mut self, at: &str, names: impl Iterator<Item = &'a str>) {
        let mut seen = HashSet::new();
        for name in names {
            if !seen.insert(name) {
                self.add(at, format!("{name:?} is there twice"));
            }
        }
    }
}

fn hosts(found: &mut Problems, manifest: &Manifest, allow_local: bool) {
    if manifest.allowed_hosts.is_empty() {
        found.add("allowed_hosts", "is empty: a provider needs at least one host");
    }
    found.at_most("allowed_hosts", manifest.allowed_hosts.len(), MAX_ITEMS);
    found.unique("allowed_hosts", manifest.allowed_hosts.iter().map(String::as_str));
    for (n, host) in manifest.allowed_hosts.iter().enumerate() {
        if let Err(problem) = check_host(host, allow_local) {
            found.add(format!("allowed_hosts[{n}]"), format!("{host:?} {problem}"));
        }
    }
}

/// An exact, public, lower-case DNS name.
fn check_host(host: &str, allow_local: bool) -> Result<(), &'static str> {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    let last = host.rsplit('.').next().unwrap_or(host);
    let is_ip = host.parse::<IpAddr>().is_ok() || last.chars().all(|c| c.is_ascii_digit());
    let is_local = LOCAL.contains(&last) || !host.contains('.');
    if host.contains('*') {
        Err("is a pattern: hosts are exact names")
    } else if allow_local && (is_local || is_ip) && !host.contains(['/', '@', ' ']) {
        Ok(())
    } else if is_ip {
        Err("is an address: hosts are names")
    } else if host.len() > 253 || !host.split('.').all(label) {
        Err("is not a lower-case host name without scheme, port and path")
    } else if is_local {
        Err("is a local name: providers talk to public services")
    } else {
        Ok(())
    }
}

fn credentials(found: &mut Problems, manifest: &Manifest) {
    found.at_most("credentials", manifest.credentials.len(), MAX_ITEMS);
    found.unique("credentials", manifest.credentials.iter().map(|c| c.name.as_str()));
    for (n, credential) in manifest.credentials.iter().enumerate() {
        let at = format!("credentials[{n}]");
        found.slug(&format!("{at}.name"), &credential.name);
        found.at_most(&format!("{at}.description"), credential.description.len(), MAX_TEXT);
        if credential.hosts.is_empty() {
            found.add(format!("{at}.hosts"), "is empty: the credential could never be sent");
        }
        for host in &credential.hosts {
            if !manifest.allowed_hosts.contains(host) {
                found.add(format!("{at}.hosts"), format!("{host:?} is not in allowed_hosts"));
            }
        }
    }
}

fn config_schema(found: &mut Problems, schema: &str) {
    found.at_most("config_schema", schema.len(), MAX_SCHEMA);
    match serde_json::from_str::<Value>(schema) {
        Ok(Value::Object(_)) => {}
        Ok(_) => found.add("config_schema", "is not a JSON object"),
        Err(error) => found.add("config_schema", format!("is not JSON: {error}")),
    }
}

fn surfaces(found: &mut Problems, surfaces: &[Surface]) {
    if surfaces.is_empty() {
        found.add("surfaces", "is empty: a provider needs at least one surface");
    }
    found.at_most("surfaces", surfaces.len(), MAX_ITEMS);
    found.unique("surfaces", surfaces.iter().map(|s| s.id.as_str()));
    for (n, surface) in surfaces.iter().enumerate() {
        let at = |field: &str| format!("surfaces[{n}].{field}");
        found.slug(&at("id"), &surface.id);
        found.text(&at("display_name"), &surface.display_name, MAX_NAME);
        found.at_most(&at("models"), surface.models.len(), 200);
        found.unique(&at("models"), surface.models.iter().map(String::as_str));
        if let Some(model) = &surface.default_model
            && !surface.models.is_empty()
            && !surface.models.contains(model)
        {
            found.add(at("default_model"), format!("{model:?} is not in models"));
        }
        found.within(&at("max_fetches"), &surface.max_fetches, &(1..=100));
        found.within(&at("requests_per_second"), &surface.requests_per_second, &(0.001..=1_000.0));
        found.within(&at("burst"), &surface.burst, &(1..=1_000));
        found.within(&at("deadline_ms"), &surface.deadline_ms, &(1_000..=3_600_000));
        found.within(
            &at("typical_cost_micro_usd"),
            &surface.typical_cost_micro_usd,
            &(0..=100_000_000),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{ContextSupport, CredentialRequest};

    fn sound() -> Manifest {
        Manifest {
            key: "brave".into(),
            display_name: "Brave".into(),
            version: "1.2.3-rc.1".into(),
            description: String::new(),
            homepage: Some("https://example.com/brave".into()),
            allowed_hosts: vec!["api.search.brave.com".into()],
            credentials: vec![CredentialRequest {
                name: "api-key".into(),
                description: "A subscription token".into(),
                hosts: vec!["api.search.brave.com".into()],
            }],
            config_schema: r#"{"type": "object"}"#.into(),
            surfaces: vec![Surface {
                id: "brave-web".into(),
                display_name: "Brave Search".into(),
                models: vec![],
                default_model: None,
                context: ContextSupport {
                    language: true,
                    country: true,
                    city: false,
                    device: false,
                },
                listed_is_visible: true,
                typical_cost_micro_usd: 5_000,
                max_fetches: 2,
                requests_per_second: 1.0,
                burst: 1,
                deadline_ms: 30_000,
            }],
            extra: vec![],
        }
    }

    #[test]
    fn a_sound_manifest_has_no_problems() {
        assert_eq!(check_manifest(&sound(), false), []);
        assert_eq!(warnings(&sound()), Vec::<String>::new());
    }

    #[test]
    fn every_problem_is_listed() {
        let mut manifest = sound();
        manifest.key = "Brave Search".into();
        manifest.version = "1.2".into();
        manifest.config_schema = "[]".into();
        manifest.credentials[0].hosts.push("evil.example".into());
        manifest.surfaces[0].requests_per_second = f64::NAN;
        manifest.surfaces[0].max_fetches = 0;
        manifest.surfaces.push(manifest.surfaces[0].clone());
        let problems = check_manifest(&manifest, false);
        let at = |at: &str| problems.iter().filter(|p| p.at == at).count();
        assert_eq!(at("key"), 1);
        assert_eq!(at("version"), 1);
        assert_eq!(at("config_schema"), 1);
        assert_eq!(at("credentials[0].hosts"), 1);
        assert_eq!(at("surfaces[0].requests_per_second"), 1);
        assert_eq!(at("surfaces[1].max_fetches"), 1);
        assert_eq!(at("surfaces"), 1);
    }

    #[test]
    fn hosts_are_exact_public_names() {
        for host in ["api.example.com", "xn--bcher-kva.example", "a-b.c1.io"] {
            assert_eq!(check_host(host, false), Ok(()), "{host}");
        }
        for host in [
            "127.0.0.1",
            "::1",
            "[::1]",
            "169.254.169.254",
            "localhost",
            "printer",
            "db.internal",
            "*.example.com",
            "https://example.com",
            "example.com:443",
            "example.com/",
            "a..b",
            "Example.com",
            "example.com.",
            "user@example.com",
            "",
            "0x7f.1",
            "münchen.de",
        ] {
            assert!(check_host(host, false).is_err(), "{host}");
        }
        assert_eq!(check_host("127.0.0.1", true), Ok(()));
        assert!(check_host("*.example.com", true).is_err());
    }
}
