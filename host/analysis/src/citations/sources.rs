use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// What kind of site a source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// A site of an own brand.
    OwnSite,
    /// A site of a competitor.
    CompetitorSite,
    /// A newspaper, broadcaster or magazine.
    News,
    /// An encyclopedia, a dictionary, research.
    Reference,
    /// Reviews, comparisons and directories.
    ReviewDirectory,
    /// Forums, social networks and what their users write.
    ForumSocial,
    /// Video platforms.
    Video,
    /// Government and education.
    GovEdu,
    /// Shops and market places.
    Commerce,
    /// Everything else.
    Other,
}

/// Kinds by suffix of the host. A host belongs to its longest suffix, label by label: `reddit.com`
/// holds `old.reddit.com` and not `notreddit.com`.
#[derive(Clone, Debug, Default)]
pub struct SourceTable {
    kinds: HashMap<String, SourceKind>,
}

/// A line of a table that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} is not `suffix<tab>kind` with a known kind")]
pub struct SourceTableError {
    /// Its number, from 1.
    pub line: usize,
}

impl SourceTable {
    /// The table that comes with the product.
    pub fn standard() -> Self {
        Self::parse(include_str!("sources.tsv")).unwrap_or_default()
    }

    /// Reads `suffix<tab>kind` lines; empty ones and those starting with `#` are skipped.
    pub fn parse(lines: &str) -> Result<Self, SourceTableError> {
        let mut table = Self::default();
        for (index, line) in lines.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let entry = line
                .split_once('\t')
                .and_then(|(suffix, kind)| Some((suffix.trim(), SourceKind::named(kind.trim())?)));
            let (suffix, kind) = entry.ok_or(SourceTableError { line: index + 1 })?;
            table.insert(suffix, kind);
        }
        Ok(table)
    }

    /// Adds or replaces a suffix.
    pub fn insert(&mut self, suffix: &str, kind: SourceKind) {
        let suffix = suffix.trim_start_matches("*.").trim_matches('.').to_lowercase();
        self.kinds.insert(suffix, kind);
    }

    /// The kind of a host in lower case.
    pub fn kind(&self, host: &str) -> SourceKind {
        suffixes(host)
            .find_map(|suffix| self.kinds.get(suffix))
            .copied()
            .unwrap_or(SourceKind::Other)
    }

    /// Suffixes in the table.
    pub fn len(&self) -> usize {
        self.kinds.len()
    }

    /// Whether the table holds nothing.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }
}

impl SourceKind {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "own_site" => Self::OwnSite,
            "competitor_site" => Self::CompetitorSite,
            "news" => Self::News,
            "reference" => Self::Reference,
            "review_directory" => Self::ReviewDirectory,
            "forum_social" => Self::ForumSocial,
            "video" => Self::Video,
            "gov_edu" => Self::GovEdu,
            "commerce" => Self::Commerce,
            "other" => Self::Other,
            _ => return None,
        })
    }
}

/// The host and its suffixes at label boundaries, longest first.
pub(super) fn suffixes(host: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(host), |suffix| suffix.split_once('.').map(|(_, rest)| rest))
}
