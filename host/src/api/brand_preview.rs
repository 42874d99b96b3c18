use super::{
    Body, Caller, Problem, Tag,
    brands::{AliasWarning, NewBrand, lint},
};
use crate::{
    App, Error, Result, brand_names,
    ids::{BrandId, RunId},
    store::{
        answers,
        brands::{self, Brand},
    },
};
use aiv_analysis::{answers::Analyzer, citations::SourceTable, mentions::Scratch};
use poem_openapi::{Object, OpenApi, payload::Json};
use std::collections::BTreeSet;
use uuid::Uuid;

/// A brand as it might be saved.
#[derive(Object)]
struct BrandPreview {
    brand: NewBrand,
    /// The brand that it would replace; it would be a new one when absent.
    replaces: Option<Uuid>,
}

/// What saving a brand would change.
#[derive(Object)]
struct BrandPreviewResult {
    /// Aliases that are likely to count too much or too little, and why.
    warnings: Vec<AliasWarning>,
    /// The newest answers that were searched: at most 1000.
    answers: i64,
    /// The brands that a different number of these answers would name.
    changes: Vec<BrandChange>,
    /// Answers that would name the brand, and do not now: at most 20.
    gained: Vec<Uuid>,
    /// Answers that name the brand now, and would not: at most 20.
    lost: Vec<Uuid>,
}

/// How many of the answers name a brand, and would.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
struct BrandChange {
    /// Absent for a brand that does not exist yet.
    id: Option<Uuid>,
    name: String,
    before: i64,
    after: i64,
}

/// Answers that a preview searches.
const ANSWERS: i64 = 1000;
/// Examples that it shows.
const SHOWN: usize = 20;

pub(super) struct Api(pub(super) App);

#[OpenApi(tag = "Tag::Brands")]
impl Api {
    /// Preview a brand
    ///
    /// What is doubtful about its aliases, and how it would change what the newest answers name.
    /// Nothing is stored.
    #[oai(path = "/brands/preview", method = "post", operation_id = "preview_brand")]
    async fn preview(
        &self,
        caller: Caller,
        preview: Body<BrandPreview>,
    ) -> Result<Json<BrandPreviewResult>, Problem> {
        let BrandPreview { brand, replaces } = preview.0;
        let new = brand.checked()?;
        let mut conn = self.0.store.read().await?;
        let before = brands::tracked(&mut conn, caller.workspace).await?;
        let id = replaces.map_or_else(BrandId::generate, BrandId);
        let place = before.iter().position(|brand| brand.id == id);
        if replaces.is_some() && place.is_none() {
            return Err(Error::NotFound("brand").into());
        }
        let texts = answers::newest(&mut conn, caller.workspace, ANSWERS).await?;
        drop(conn);

        let now = self.0.clock.now();
        let brands::NewBrand { name, kind, aliases, domains } = new;
        let brand = Brand {
            number: 0,
            id,
            workspace_id: caller.workspace,
            name,
            kind,
            aliases: aliases.into(),
            domains: domains.into(),
            archived_at: None,
            created_at: now,
            updated_at: now,
        };
        let mut after = before.clone();
        let place = place.unwrap_or(after.len());
        let warnings = lint(&brand, &after);
        if place < after.len() {
            after[place] = brand;
        } else {
            after.push(brand);
        }
        // A thousand answers take some tens of milliseconds.
        tokio::task::spawn_blocking(move || compare(&before, &after, place, &texts))
            .await
            .map_err(anyhow::Error::from)?
            .map(|result| Json(BrandPreviewResult { warnings, ..result }))
            .map_err(Into::into)
    }
}

/// Searches the texts for the brands before and after; `place` is that of the brand in question.
fn compare(
    before: &[Brand],
    after: &[Brand],
    place: usize,
    texts: &[(RunId, String)],
) -> Result<BrandPreviewResult> {
    let (old_search, new_search) = (analyzer(before)?, analyzer(after)?);
    let mut scratch = Scratch::default();
    let mut counts = vec![(0_i64, 0_i64); after.len()];
    let (mut gained, mut lost) = (Vec::new(), Vec::new());
    for (id, text) in texts {
        let old = named(&old_search, &mut scratch, text);
        let new = named(&new_search, &mut scratch, text);
        for brand in &old {
            counts[*brand].0 += 1;
        }
        for brand in &new {
            counts[*brand].1 += 1;
        }
        let examples = match (old.contains(&place), new.contains(&place)) {
            (false, true) => &mut gained,
            (true, false) => &mut lost,
            _ => continue,
        };
        if examples.len() < SHOWN {
            examples.push(id.0);
        }
    }
    let changes = after
        .iter()
        .enumerate()
        .zip(counts)
        .filter(|(_, (before, after))| before != after)
        .map(|((index, brand), (was, will))| BrandChange {
            id: before.get(index).map(|brand| brand.id.0),
            name: brand.name.clone(),
            before: was,
            after: will,
        })
        .collect();
    let answers = i64::try_from(texts.len()).unwrap_or(i64::MAX);
    Ok(BrandPreviewResult { warnings: vec![], answers, changes, gained, lost })
}

fn analyzer(brands: &[Brand]) -> Result<Analyzer> {
    let known: Vec<_> =
        (0..).zip(brands).map(|(id, brand)| brand_names::known(id, brand)).collect();
    Analyzer::new(&known, SourceTable::standard())
        .map_err(|error| Error::invalid("/brand/aliases", error.to_string()))
}

/// Places of the brands that the text names.
fn named(analyzer: &Analyzer, scratch: &mut Scratch, text: &str) -> BTreeSet<usize> {
    let found = analyzer.analyse(scratch, text, &[]);
    found.brands.iter().filter_map(|found| usize::try_from(found.brand).ok()).collect()
}
