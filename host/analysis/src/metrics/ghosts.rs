use serde::{Deserialize, Serialize};

/// Whether an answer names the brand and whether it cites an own domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quadrant {
    /// Named and cited.
    Both,
    /// Named, but the source is somebody else.
    NamedOnly,
    /// The ghost: the engine leans on own pages without naming the brand.
    CitedOnly,
    /// Neither named nor cited.
    Neither,
}

impl Quadrant {
    /// The quadrant of one answer.
    pub const fn of(named: bool, cited: bool) -> Self {
        match (named, cited) {
            (true, true) => Self::Both,
            (true, false) => Self::NamedOnly,
            (false, true) => Self::CitedOnly,
            (false, false) => Self::Neither,
        }
    }
}

/// Answers per quadrant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GhostCounts {
    /// Answers that name and cite.
    pub both: u64,
    /// Answers that name but do not cite.
    pub named_only: u64,
    /// Answers that cite but do not name.
    pub cited_only: u64,
    /// Answers that do neither.
    pub neither: u64,
}

impl GhostCounts {
    /// Counts one answered run.
    pub const fn add(&mut self, quadrant: Quadrant) {
        match quadrant {
            Quadrant::Both => self.both += 1,
            Quadrant::NamedOnly => self.named_only += 1,
            Quadrant::CitedOnly => self.cited_only += 1,
            Quadrant::Neither => self.neither += 1,
        }
    }

    /// All answered runs.
    pub const fn answers(self) -> u64 {
        self.both + self.named_only + self.cited_only + self.neither
    }
}
