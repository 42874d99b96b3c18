//! Which days a question about numbers is about.

use crate::{Error, Result, metrics::Window, store::workspaces::Workspace};
use chrono::{DateTime, NaiveDate, Utc};
use poem_openapi::{Enum, Object};

/// The last days, today included, in the workspace's time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(super) enum Period {
    #[oai(rename = "7d")]
    Week,
    #[oai(rename = "30d")]
    Month,
    #[oai(rename = "90d")]
    Quarter,
}

/// A span of days, both included.
#[derive(Object)]
pub(super) struct Days {
    pub(super) from: NaiveDate,
    pub(super) to: NaiveDate,
}

/// The longest window, in days.
const LONGEST: u64 = 366;

/// The window that the parameters name; the last 30 days when they name none.
pub(super) fn window(
    workspace: &Workspace,
    now: DateTime<Utc>,
    period: Option<Period>,
    from: Option<NaiveDate>,
    to: Option<NaiveDate>,
) -> Result<Window> {
    let today = workspace.day(now);
    let malformed = |detail: &str| Err(Error::Malformed(detail.into()));
    let (from, to) = match (period, from, to) {
        (Some(_), Some(_), _) | (Some(_), _, Some(_)) => {
            return malformed("give either `period` or `from` and `to`");
        }
        (period, None, None) => {
            let days = match period {
                Some(Period::Week) => 7,
                None | Some(Period::Month) => 30,
                Some(Period::Quarter) => 90,
            };
            return Ok(Window::last(days, today));
        }
        (None, Some(from), to) => (from, to.unwrap_or(today)),
        (None, None, Some(_)) => return malformed("`to` needs a `from`"),
    };
    if from > to {
        return malformed("`from` lies after `to`");
    }
    let window = Window { from, to };
    if window.days() > LONGEST {
        return malformed("a window has 366 days at most");
    }
    Ok(window)
}

/// Tells what is wrong with a window in the way of a request body.
pub(super) fn in_body(window: Result<Window>) -> Result<Window> {
    window.map_err(|error| Error::invalid("/from", error.to_string()))
}

impl From<Window> for Days {
    fn from(Window { from, to }: Window) -> Self {
        Days { from, to }
    }
}
