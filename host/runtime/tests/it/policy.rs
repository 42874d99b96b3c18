//! Steps that ask for what the plugin may not do.

use aiv_runtime::{Blame, Class};

use crate::support::{hostile, query};

#[tokio::test]
async fn each_broken_rule_is_named() {
    let plugin = hostile().await;
    for (prompt, says) in [
        ("big-state", "state has 1048576 bytes, at most 65536"),
        ("big-body", "body has 2097152 bytes"),
        ("large-answer", "text has 2097152 bytes"),
        ("many-citations", "citations has 1001 items"),
        ("long-pause", "pause has 4294967295 ms"),
        ("foreign-host", "evil.example is not in the manifest's allowed-hosts"),
        ("metadata-host", "169.254.169.254 is not in"),
        ("plain-http", "only https"),
        ("user-info", "user info"),
        ("port", "names a port"),
        ("header-smuggling", "\"x-note\" holds a control character"),
        ("unknown-credential", "\"other-key\" is not in the manifest"),
        ("misdirected-credential", "\"api-key\" is not for cdn.example.com"),
    ] {
        let error = plugin.start(&query(prompt)).await.unwrap_err();
        assert_eq!((error.class, error.blame), (Class::Policy, Blame::Guest), "{prompt}: {error}");
        assert!(error.message.contains(says), "{prompt}: {error}");
    }
}
