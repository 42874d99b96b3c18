//! The invented market of `demo.json`.

use serde::Deserialize;
use std::{collections::HashMap, sync::LazyLock};

#[derive(Deserialize)]
pub(super) struct Material {
    /// The workspace's own brand first.
    pub(super) brands: Vec<Brand>,
    /// Address, title and day of publication.
    pub(super) sources: Vec<(String, String, Option<String>)>,
    pub(super) intents: Vec<Intent>,
    /// For prompts that nobody foresaw.
    pub(super) fallback: Intent,
    /// What to say without naming a brand.
    pub(super) advice: Vec<String>,
}

#[derive(Deserialize)]
pub(super) struct Brand {
    pub(super) name: String,
    pub(super) aliases: Vec<String>,
    pub(super) domains: Vec<String>,
    /// Address and title.
    pub(super) pages: Vec<(String, String)>,
    /// They follow the name of the brand.
    pub(super) strengths: Vec<String>,
    /// They follow a contrast.
    pub(super) weaknesses: Vec<String>,
    /// How often an engine names the brand, all else being equal.
    pub(super) share: HashMap<String, f64>,
}

#[derive(Deserialize)]
pub(super) struct Intent {
    pub(super) name: String,
    pub(super) tags: Vec<String>,
    /// How readily answers name brands at all.
    pub(super) appetite: f64,
    /// Factors by brand.
    pub(super) boosts: HashMap<String, f64>,
    pub(super) openings: Vec<String>,
    pub(super) closings: Vec<String>,
    pub(super) prompts: Vec<String>,
}

pub(super) static MATERIAL: LazyLock<Material> = LazyLock::new(|| {
    serde_json::from_str(include_str!("demo.json")).expect("a test reads the built-in material")
});

impl Material {
    pub(super) fn intent(&self, prompt: &str) -> &Intent {
        let prompt = prompt.trim();
        self.intents
            .iter()
            .find(|intent| intent.prompts.iter().any(|text| text.eq_ignore_ascii_case(prompt)))
            .unwrap_or(&self.fallback)
    }
}
