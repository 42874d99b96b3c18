//! Who gets the free slots: lanes in turn, in a lane the higher classes first, in a class the
//! workspaces by weight. Pure.
//!
//! **Invariant:** while others wait in a lane, a workspace holds at most half of it.
//! **Invariant:** while others wait in a queue, a lane holds at most half of its slots, so that a
//! slow vendor never ends up with all of them.

use crate::{
    ids::WorkspaceId,
    store::claims::{Grant, Waiting},
};
use chrono::{DateTime, Utc};
use std::collections::HashMap;

/// A lane with due jobs.
#[derive(Debug, Clone)]
pub(super) struct Lane {
    pub(super) name: String,
    /// Groups that wait in it, in order of priority and workspace; due or not.
    pub(super) waiting: Vec<Waiting>,
    /// What it may start now, by its limits.
    pub(super) credit: usize,
    /// What it may have under way at once.
    pub(super) most: usize,
    /// What is under way, by workspace.
    pub(super) busy: HashMap<WorkspaceId, usize>,
}

impl Lane {
    fn busy_total(&self) -> usize {
        self.busy.values().sum()
    }

    /// The due groups of its highest class that may start something.
    fn top_class(&self, now: DateTime<Utc>) -> Vec<(&Waiting, usize)> {
        let due = self.waiting.iter().filter(|group| group.run_at <= now);
        let mut tenants: Vec<_> = due.clone().map(|group| group.workspace_id).collect();
        tenants.sort_unstable();
        tenants.dedup();
        let most = if tenants.len() > 1 { self.most.div_ceil(2) } else { self.most };
        let mut top: Vec<(&Waiting, usize)> = Vec::new();
        for group in due {
            let busy = self.busy.get(&group.workspace_id).copied().unwrap_or(0);
            let room = most.saturating_sub(busy);
            if room == 0 {
                continue;
            }
            match top.first() {
                Some((first, _)) if first.priority != group.priority => break,
                _ => top.push((group, room)),
            }
        }
        top
    }
}

/// Where the last round stopped, so that the next one goes on from there.
#[derive(Debug, Default)]
pub(super) struct Turns {
    lane: usize,
    workspaces: HashMap<String, WorkspaceId>,
}

/// Shares `free` slots of a queue with `slots` in all.
pub(super) fn share(
    free: usize,
    slots: usize,
    lanes: &[Lane],
    turns: &mut Turns,
    now: DateTime<Utc>,
) -> Vec<Grant> {
    let mut open: Vec<_> = lanes
        .iter()
        .filter(|lane| lane.credit > 0 && lane.waiting.iter().any(|group| group.run_at <= now))
        .collect();
    if open.is_empty() || free == 0 {
        return vec![];
    }
    let most = if open.len() > 1 { slots.div_ceil(2) } else { slots };
    let count = open.len();
    open.rotate_left(turns.lane % count);
    turns.lane = turns.lane.wrapping_add(1);

    let mut grants = Vec::new();
    let mut left = free;
    for (index, lane) in open.into_iter().enumerate() {
        // What is free is shared by the lanes that have not had their turn.
        let room = most.min(lane.most).saturating_sub(lane.busy_total());
        let part = left.div_ceil(count - index).min(lane.credit).min(room);
        left -= share_lane(lane, part, turns, now, &mut grants);
        if left == 0 {
            break;
        }
    }
    grants
}

/// Shares `part` slots of a lane among its workspaces; returns how many it gave.
fn share_lane(
    lane: &Lane,
    part: usize,
    turns: &mut Turns,
    now: DateTime<Utc>,
    grants: &mut Vec<Grant>,
) -> usize {
    let mut class = lane.top_class(now);
    if part == 0 || class.is_empty() {
        return 0;
    }
    if let Some(last) = turns.workspaces.get(&lane.name) {
        let next = class.iter().position(|(group, _)| group.workspace_id > *last).unwrap_or(0);
        class.rotate_left(next);
    }
    let mut weight: i64 = class.iter().map(|(group, _)| group.weight.max(1)).sum();
    let mut left = part;
    for (group, room) in class {
        if left == 0 {
            break;
        }
        let own = group.weight.max(1);
        let fair = div_ceil(i64::try_from(left).unwrap_or(i64::MAX).saturating_mul(own), weight);
        weight -= own;
        let jobs = usize::try_from(fair).unwrap_or(left).min(left).min(room);
        left -= jobs;
        turns.workspaces.insert(lane.name.clone(), group.workspace_id);
        grants.push(Grant {
            lane: lane.name.clone(),
            priority: group.priority,
            workspace: group.workspace_id,
            jobs: i64::try_from(jobs).unwrap_or(i64::MAX),
        });
    }
    part - left
}

fn div_ceil(a: i64, b: i64) -> i64 {
    a / b + i64::from(a % b != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_767_225_600, 0).unwrap()
    }

    fn workspace(number: u128) -> WorkspaceId {
        WorkspaceId(Uuid::from_u128(number))
    }

    fn group(priority: i64, number: u128, weight: i64) -> Waiting {
        Waiting { priority, workspace_id: workspace(number), run_at: now(), weight }
    }

    fn lane(name: &str, waiting: Vec<Waiting>) -> Lane {
        let (credit, most) = (1000, 1000);
        Lane { name: name.into(), waiting, credit, most, busy: HashMap::new() }
    }

    fn given(grants: &[Grant]) -> Vec<(String, i64, u128, i64)> {
        let row = |g: &Grant| (g.lane.clone(), g.priority, g.workspace.0.as_u128(), g.jobs);
        grants.iter().map(row).collect()
    }

    #[test]
    fn weights_decide_within_a_class_and_classes_before_weights() {
        let waiting = vec![group(10, 1, 1), group(10, 2, 3), group(100, 3, 100)];
        let grants = share(40, 100, &[lane("a", waiting)], &mut Turns::default(), now());
        assert_eq!(given(&grants), [("a".into(), 10, 1, 10), ("a".into(), 10, 2, 30)]);
    }

    #[test]
    fn half_a_lane_while_others_wait_and_all_of_it_otherwise() {
        let alone = lane("a", vec![group(10, 1, 1)]);
        let grants = share(100, 100, std::slice::from_ref(&alone), &mut Turns::default(), now());
        assert_eq!(given(&grants), [("a".into(), 10, 1, 100)]);

        let mut crowded = Lane { most: 100, ..lane("a", vec![group(10, 1, 1), group(100, 2, 1)]) };
        crowded.busy.insert(workspace(1), 50);
        // The first has its half, so the lower class of the second is next.
        let grants = share(50, 100, &[crowded], &mut Turns::default(), now());
        assert_eq!(given(&grants), [("a".into(), 100, 2, 50)]);
    }

    #[test]
    fn a_lane_that_is_full_leaves_its_slots_to_the_next() {
        let mut slow = lane("slow", vec![group(10, 1, 1)]);
        slow.busy.insert(workspace(1), 50);
        let quick = lane("quick", vec![group(10, 1, 1)]);
        let grants = share(50, 100, &[slow, quick], &mut Turns::default(), now());
        assert_eq!(given(&grants), [("quick".into(), 10, 1, 50)]);
    }

    #[test]
    fn everybody_has_a_turn() {
        let waiting: Vec<_> = (1..=5).map(|number| group(10, number, 1)).collect();
        let lanes = [lane("a", waiting)];
        let mut turns = Turns::default();
        let mut served: Vec<u128> = (0..5)
            .flat_map(|_| share(1, 100, &lanes, &mut turns, now()))
            .map(|grant| grant.workspace.0.as_u128())
            .collect();
        served.sort_unstable();
        assert_eq!(served, [1, 2, 3, 4, 5]);
    }

    #[test]
    fn what_is_not_due_gets_nothing() {
        let later = Waiting { run_at: now() + chrono::TimeDelta::seconds(1), ..group(10, 1, 1) };
        assert_eq!(share(9, 9, &[lane("a", vec![later])], &mut Turns::default(), now()), []);
    }

    proptest! {
        #[test]
        fn shares_stay_within_every_limit(
            free in 0_usize..200,
            lanes in prop::collection::vec(
                (
                    0_usize..50,
                    1_usize..120,
                    prop::collection::vec((0_i64..3, 1_u128..6, 1_i64..9), 0..12),
                    prop::collection::vec((1_u128..6, 0_usize..40), 0..5),
                ),
                0..5,
            ),
        ) {
            let lanes: Vec<Lane> = lanes
                .into_iter()
                .enumerate()
                .map(|(index, (credit, most, groups, busy))| {
                    let mut waiting: Vec<_> =
                        groups.into_iter().map(|(p, w, weight)| group(p, w, weight)).collect();
                    waiting.sort_by_key(|group| (group.priority, group.workspace_id));
                    waiting.dedup_by_key(|group| (group.priority, group.workspace_id));
                    let busy = busy.into_iter().map(|(w, n)| (workspace(w), n)).collect();
                    Lane { name: index.to_string(), waiting, credit, most, busy }
                })
                .collect();
            let grants = share(free, 200, &lanes, &mut Turns::default(), now());
            let total: i64 = grants.iter().map(|grant| grant.jobs).sum();
            prop_assert!(usize::try_from(total).unwrap() <= free);
            for lane in &lanes {
                let of_lane: Vec<_> = grants.iter().filter(|g| g.lane == lane.name).collect();
                let started: i64 = of_lane.iter().map(|g| g.jobs).sum();
                let started = usize::try_from(started).unwrap();
                prop_assert!(started <= lane.credit);
                prop_assert!(started == 0 || started + lane.busy_total() <= lane.most);
                let mut tenants: Vec<_> = lane.waiting.iter().map(|g| g.workspace_id).collect();
                tenants.sort_unstable();
                tenants.dedup();
                for grant in of_lane {
                    prop_assert!(grant.jobs > 0);
                    let held = lane.busy.get(&grant.workspace).copied().unwrap_or(0)
                        + usize::try_from(grant.jobs).unwrap();
                    if tenants.len() > 1 {
                        prop_assert!(held <= lane.most.div_ceil(2));
                    }
                }
            }
        }
    }
}
