//! What an engine showed, and under which conditions.

use serde::{Deserialize, Serialize};

use super::Extra;

/// The end of a query that worked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Answered(Answer),
    /// A result with a cost, not an error.
    Absent(NoAnswer),
}

impl Outcome {
    /// The instrument, which both outcomes have.
    pub fn meta(&self) -> &Meta {
        match self {
            Self::Answered(answer) => &answer.meta,
            Self::Absent(absent) => &absent.meta,
        }
    }
}

/// What the engine showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Markdown, byte-exact as the engine gave it.
    pub text: String,
    pub citations: Vec<Citation>,
    pub related_questions: Vec<String>,
    pub meta: Meta,
}

/// A source the engine named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Citation {
    /// 1-based, in the order the engine shows them.
    pub position: u32,
    pub url: String,
    pub title: Option<String>,
    pub snippet: Option<String>,
    /// ISO 8601, when known.
    pub published: Option<String>,
    pub kind: CitationKind,
    /// Inline markers that point here, such as `1`.
    pub markers: Vec<String>,
}

/// How the engine named a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CitationKind {
    /// Referenced inline.
    Cited,
    /// Only offered as a source.
    Listed,
    /// A link in the text that is not in the source list.
    InlineLink,
}

/// There is nothing to show, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoAnswer {
    pub reason: Absence,
    pub meta: Meta,
}

/// Why an engine showed no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Absence {
    /// The engine chose to show no AI answer.
    NotTriggered,
    Declined,
    NoResults,
    Empty,
    Truncated,
}

impl Absence {
    /// The name in the WIT.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotTriggered => "not-triggered",
            Self::Declined => "declined",
            Self::NoResults => "no-results",
            Self::Empty => "empty",
            Self::Truncated => "truncated",
        }
    }
}

/// What was asked and what answered: the instrument.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    pub surface: String,
    pub requested_model: Option<String>,
    pub served_model: Option<String>,
    pub request_id: Option<String>,
    pub finish: FinishReason,
    pub retrieval: Retrieval,
    /// Searches the engine says it ran.
    pub queries: Vec<String>,
    pub usage: Option<Usage>,
    pub cost: Option<Cost>,
    pub location_used: Option<String>,
    /// Shapes that were skipped, for a person to read.
    pub warnings: Vec<String>,
    pub extra: Extra,
}

/// Why the engine stopped writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FinishReason {
    Stop,
    Length,
    ContentFilter,
    Other,
    Unspecified,
}

/// Whether the engine searched before it answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Retrieval {
    Searched,
    NotSearched,
    Unknown,
}

/// What the vendor counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    pub input_tokens: Option<u32>,
    pub output_tokens: Option<u32>,
    pub cached_input_tokens: Option<u32>,
    pub reasoning_tokens: Option<u32>,
    pub searches: Option<u32>,
}

/// Money, and how it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    pub micro_usd: u32,
    pub basis: CostBasis,
}

/// How a cost is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CostBasis {
    /// The vendor said so.
    Reported,
    /// Usage times list price.
    Computed,
    Estimated,
}

impl CostBasis {
    /// The name in the WIT.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reported => "reported",
            Self::Computed => "computed",
            Self::Estimated => "estimated",
        }
    }
}
