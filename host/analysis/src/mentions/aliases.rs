use serde::{Deserialize, Serialize};

/// A brand to look for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrackedBrand {
    /// What the caller knows it by.
    pub id: u32,
    /// The names it goes by.
    pub aliases: Vec<Alias>,
}

/// One name of a brand, and the guards that tell it from the same letters meaning something else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alias {
    /// The name as it is typed.
    pub text: String,
    /// Only where its first letter is a capital (for names that are common words).
    #[serde(default)]
    pub require_capital: bool,
    /// Only where one of these stands within 200 bytes of it; any place will do when empty.
    #[serde(default)]
    pub must_have_near: Vec<String>,
    /// Not directly after one of these.
    #[serde(default)]
    pub forbidden_before: Vec<String>,
    /// Not directly before one of these.
    #[serde(default)]
    pub forbidden_after: Vec<String>,
}

impl Alias {
    /// A name without guards.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }
}
