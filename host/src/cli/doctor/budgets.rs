//! Whether what budgets say was spent is what the ledger says.

use super::{Check, Verdict, check};
use crate::{
    Clock,
    app::open_store,
    config::Config,
    store::{
        Store,
        audit_logs::{self, Actor},
        budget_audit::{self, Difference},
    },
};
use chrono::{Days, NaiveDate};
use serde_json::json;

/// Counts yesterday, today and tomorrow again: somewhere each of them is a workspace's day. With
/// `repair`, writes what the ledger says where budgets say something else.
pub(super) async fn all(config: &Config, repair: bool) -> Vec<Check> {
    let looked = async {
        let store = open_store(config).await?;
        let today = Clock::default().now().date_naive();
        let mut found = Vec::new();
        for day in [today.checked_sub_days(Days::new(1)), Some(today), today.succ_opt()] {
            let Some(day) = day else { continue };
            let differences = lasting(&store, day).await?;
            if repair && !differences.is_empty() {
                correct(&store, day, &differences).await?;
            }
            found.extend(differences.into_iter().map(|difference| (day, difference)));
        }
        store.close().await;
        anyhow::Ok(found)
    };
    match looked.await {
        Ok(found) if found.is_empty() => {
            vec![check("budgets", Verdict::Ok, "they say what the ledger says".into())]
        }
        Ok(found) => found.iter().map(|(day, difference)| told(*day, difference, repair)).collect(),
        Err(err) => vec![check("budgets", Verdict::Failed, format!("{err:#}"))],
    }
}

/// What differs in two looks: a call that ends between two statements of one look is no difference.
async fn lasting(store: &Store, day: NaiveDate) -> anyhow::Result<Vec<Difference>> {
    let mut conn = store.read().await?;
    let mut first = budget_audit::audit(&mut conn, day).await?;
    if !first.is_empty() {
        let second = budget_audit::audit(&mut conn, day).await?;
        first.retain(|difference| second.contains(difference));
    }
    Ok(first)
}

async fn correct(store: &Store, day: NaiveDate, found: &[Difference]) -> anyhow::Result<()> {
    let now = Clock::default().now();
    let actor = Actor { workspace: None, name: "cli:doctor".into(), request_id: None };
    let mut tx = store.begin().await?;
    for difference in found {
        budget_audit::correct(&mut tx, day, difference, now).await?;
        let what = json!({"day": day, "difference": format!("{difference:?}")});
        let scope = difference.scope;
        audit_logs::note(&mut tx, &actor, "budget.correct", scope, what, now).await?;
    }
    tx.commit().await?;
    Ok(())
}

fn told(day: NaiveDate, difference: &Difference, repaired: bool) -> Check {
    let Difference { scope, workspace, engine, reserved, spent, ledger_reserved, ledger_spent } =
        difference;
    let whose = match *scope {
        "platform" => "the platform".to_owned(),
        "engine" => format!("engine {engine} of workspace {workspace}"),
        _ => format!("workspace {workspace}"),
    };
    let numbers = format!(
        "{day}: the budget of {whose} says {spent} spent and {reserved} reserved, the ledger \
         {ledger_spent} and {ledger_reserved} (millionths of a US dollar)"
    );
    if repaired {
        return check("budgets", Verdict::Ok, format!("{numbers}: corrected"));
    }
    let fix = "`aiv doctor --repair-budgets` writes what the ledger says";
    check("budgets", Verdict::Warning, format!("{numbers}: {fix}"))
}
