use super::{Context, Job, alert_rules};
use crate::{
    Result,
    ids::WorkspaceId,
    queue::Ended,
    store::{
        daily_counts,
        jobs::{Claimed, JobEnd},
    },
};
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

/// Counts a day of a workspace again from its runs, and holds the rules on metrics against it. Any
/// day, any number of times.
#[derive(Debug, Serialize, Deserialize)]
pub struct DailyAggregations {
    pub workspace: WorkspaceId,
    /// In the workspace's time zone.
    pub day: NaiveDate,
}

impl Job for DailyAggregations {
    const QUEUE: &'static str = "dailyAggregations";
    const MAX_ATTEMPTS: i64 = 5;

    async fn run(self, context: &Context, _claimed: &Claimed) -> Result<Ended> {
        let mut tx = context.app.store.begin().await?;
        daily_counts::rebuild(&mut tx, self.workspace, self.day).await?;
        tx.commit().await?;
        alert_rules::evaluate(&context.app, self.workspace, self.day).await?;
        Ok(Ended::As(JobEnd::Succeeded))
    }
}
