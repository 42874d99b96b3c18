use super::Redis;
use ::redis::{RedisResult, Value};
use std::collections::HashMap;

/// One thing that is not as it should be, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub name: &'static str,
    pub detail: String,
}

/// What a server says about itself.
#[derive(Debug, Default)]
struct Settings {
    version: String,
    /// `None` where the server does not tell, as many hosted ones do not.
    policy: Option<String>,
    append_only: Option<bool>,
}

/// Looks whether a server can be trusted with queues. Gives its version and what to change.
///
/// # Errors
/// When Redis cannot be reached.
pub async fn check(redis: &Redis) -> RedisResult<(String, Vec<Finding>)> {
    let mut conn = redis.commands();
    let info: String = ::redis::cmd("INFO").query_async(&mut conn).await?;
    let field = |name: &str| {
        info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    };
    let config: RedisResult<Value> =
        ::redis::cmd("CONFIG").arg("GET").arg("maxmemory-policy").query_async(&mut conn).await;
    let policy = config
        .and_then(|value| Ok(::redis::from_redis_value::<HashMap<String, String>>(value)?))
        .ok()
        .and_then(|mut found| found.remove("maxmemory-policy"))
        .or_else(|| field("maxmemory_policy").map(str::to_owned));
    let settings = Settings {
        version: field("redis_version").unwrap_or("0").to_owned(),
        policy,
        append_only: field("aof_enabled").map(|on| on == "1"),
    };
    Ok((settings.version.clone(), judge(&settings)))
}

fn judge(settings: &Settings) -> Vec<Finding> {
    let mut found = Vec::new();
    if numbers(&settings.version) < (6, 2) {
        let detail = format!("version {}: 6.2 is the oldest that works", settings.version);
        found.push(Finding { name: "redis version", detail });
    }
    if let Some(policy) = &settings.policy
        && policy != "noeviction"
    {
        let detail = format!(
            "maxmemory-policy is {policy}, which may drop jobs: set `maxmemory-policy noeviction`, \
             and give caches a server of their own (CACHE_REDIS_URL)"
        );
        found.push(Finding { name: "redis memory", detail });
    }
    if settings.append_only == Some(false) {
        let detail = "a restart forgets what was handed out, which is then sent again: \
                      set `appendonly yes`";
        found.push(Finding { name: "redis persistence", detail: detail.into() });
    }
    found
}

/// Major and minor version.
fn numbers(version: &str) -> (u32, u32) {
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_finding_says_what_to_change() {
        let settings = |version: &str, policy: Option<&str>, append_only| {
            judge(&Settings {
                version: version.into(),
                policy: policy.map(Into::into),
                append_only,
            })
        };
        assert_eq!(settings("7.0.15", Some("noeviction"), Some(true)), []);
        assert_eq!(settings("6.2.0", None, None), []);
        let found = settings("6.0.9", Some("allkeys-lru"), Some(false));
        let names: Vec<_> = found.iter().map(|finding| finding.name).collect();
        assert_eq!(names, ["redis version", "redis memory", "redis persistence"]);
        assert!(found[1].detail.contains("noeviction") && found[2].detail.contains("appendonly"));
    }
}
