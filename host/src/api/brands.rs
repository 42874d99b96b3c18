use super::{
    Begun, Body, Caller, Created, Deleted, Once, Paging, Problem, Tag, page, rules::Rules,
    types::Timestamp,
};
use crate::{
    App, Result, brand_names,
    ids::BrandId,
    store::{Conn, audit_logs, brands},
};
use aiv_analysis::mentions::{self, TrackedBrand};
use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use serde_json::json;
use uuid::Uuid;

/// Whose brand it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub(super) enum BrandKind {
    /// The workspace's own.
    Own,
    /// Somebody else's.
    Competitor,
}

/// One way in which texts call a brand, with what guards it against mistakes.
#[derive(Object)]
struct Alias {
    /// As texts write it.
    #[oai(validator(min_length = 1, max_length = 100))]
    text: String,
    /// For names that are common words: count it only with a capital.
    #[oai(default)]
    require_capital: bool,
    /// Count it only when one of these stands nearby.
    #[oai(default, validator(max_items = 50))]
    must_have_near: Vec<String>,
    /// Do not count it right after one of these.
    #[oai(default, validator(max_items = 50))]
    forbidden_before: Vec<String>,
    /// Do not count it right before one of these.
    #[oai(default, validator(max_items = 50))]
    forbidden_after: Vec<String>,
}

/// A tracked brand.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub(super) struct Brand {
    id: Uuid,
    /// Also counted as an alias, unless an alias with the same text guards it.
    name: String,
    kind: BrandKind,
    aliases: Vec<Alias>,
    /// Its sites: citations of them are citations of the brand.
    domains: Vec<String>,
    /// Aliases that are likely to count too much, and why.
    warnings: Vec<AliasWarning>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// Why an alias is likely to count too much.
#[derive(Object)]
pub(super) struct AliasWarning {
    /// JSON pointer to the alias; `/name` for the name.
    pointer: String,
    detail: String,
}

/// A brand to track.
#[derive(Object)]
pub(super) struct NewBrand {
    #[oai(validator(min_length = 1, max_length = 100))]
    name: String,
    kind: BrandKind,
    /// Other ways in which texts call it.
    #[oai(default, validator(max_items = 100))]
    aliases: Vec<Alias>,
    /// Its sites, as host names. Subdomains are included.
    #[oai(default, validator(max_items = 100))]
    domains: Vec<String>,
}

/// What to change of a brand; fields that are absent stay.
#[derive(Object)]
struct BrandPatch {
    #[oai(validator(min_length = 1, max_length = 100))]
    name: Option<String>,
    kind: Option<BrandKind>,
    /// Replaces all aliases.
    #[oai(validator(max_items = 100))]
    aliases: Option<Vec<Alias>>,
    /// Replaces all domains.
    #[oai(validator(max_items = 100))]
    domains: Option<Vec<String>>,
}

page! {
    /// A page of brands, oldest first. The lists leave warnings out.
    BrandPage of Brand
}

pub(super) struct Api(pub(super) App);

#[OpenApi(tag = "Tag::Brands")]
impl Api {
    /// Create a brand
    ///
    /// Answers from now on are searched for it; earlier ones when they are analysed again.
    #[oai(path = "/brands", method = "post", operation_id = "create_brand")]
    async fn create(
        &self,
        caller: Caller,
        /// Repeating a request with the same key has one effect.
        #[oai(name = "Idempotency-Key")]
        once: Once,
        new: Body<NewBrand>,
    ) -> Result<Created<Brand>, Problem> {
        let new = new.0.checked()?;
        let now = self.0.clock.now();
        let mut tx = self.0.store.begin().await?;
        let doing = match once.begin(&mut tx, &caller, now).await? {
            Begun::First(doing) => doing,
            Begun::Again(record) => return Ok(Created::again(record)),
        };
        let row = brands::insert(&mut tx, caller.workspace, new, now).await?;
        let what = json!({"name": row.name});
        audit_logs::note(&mut tx, &caller.actor(), "brand.create", row.id, what, now).await?;
        let created = Created::new(format!("/v1/brands/{}", row.id), &linted(&mut tx, row).await?);
        doing.finish(&mut tx, &created).await?;
        tx.commit().await?;
        Ok(created)
    }

    /// List the brands
    #[oai(path = "/brands", method = "get", operation_id = "list_brands")]
    async fn list(
        &self,
        caller: Caller,
        /// Rows of a page.
        #[oai(
            default = "super::page::default_limit",
            validator(minimum(value = "1"), maximum(value = "200"))
        )]
        limit: Query<u32>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<BrandPage>, Problem> {
        let page = Paging::open(&self.0, &caller, "brands", &(), limit.0, cursor.0.as_deref())?;
        let mut conn = self.0.store.read().await?;
        let rows = brands::list(&mut conn, caller.workspace, page.after, page.fetch()).await?;
        Ok(Json(page.close(rows, |row| row.id)?.into()))
    }

    /// Find a brand
    #[oai(path = "/brands/:brand", method = "get", operation_id = "find_brand")]
    async fn find(
        &self,
        caller: Caller,
        /// Id of the brand.
        brand: Path<Uuid>,
    ) -> Result<Json<Brand>, Problem> {
        let mut conn = self.0.store.read().await?;
        let row = brands::find(&mut conn, caller.workspace, BrandId(brand.0)).await?;
        Ok(Json(linted(&mut conn, row).await?))
    }

    /// Update a brand
    #[oai(path = "/brands/:brand", method = "patch", operation_id = "update_brand")]
    async fn update(
        &self,
        caller: Caller,
        /// Id of the brand.
        brand: Path<Uuid>,
        patch: Body<BrandPatch>,
    ) -> Result<Json<Brand>, Problem> {
        let BrandPatch { name, kind, aliases, domains } = patch.0;
        let id = BrandId(brand.0);
        let mut tx = self.0.store.begin().await?;
        let before = brands::find(&mut tx, caller.workspace, id).await?;
        let new = NewBrand {
            name: name.unwrap_or(before.name),
            kind: kind.unwrap_or(before.kind.into()),
            aliases: aliases
                .unwrap_or_else(|| before.aliases.0.into_iter().map(Into::into).collect()),
            domains: domains.unwrap_or(before.domains.0),
        };
        let new = new.checked()?;
        let now = self.0.clock.now();
        let row = brands::update(&mut tx, caller.workspace, id, new, now).await?;
        let what = json!({"name": row.name});
        audit_logs::note(&mut tx, &caller.actor(), "brand.update", id, what, now).await?;
        let brand = linted(&mut tx, row).await?;
        tx.commit().await?;
        Ok(Json(brand))
    }

    /// Delete a brand
    ///
    /// It is tracked no longer; what was counted of it stays.
    #[oai(path = "/brands/:brand", method = "delete", operation_id = "delete_brand")]
    async fn delete(
        &self,
        caller: Caller,
        /// Id of the brand.
        brand: Path<Uuid>,
    ) -> Result<Deleted, Problem> {
        let mut tx = self.0.store.begin().await?;
        let id = BrandId(brand.0);
        let now = self.0.clock.now();
        brands::archive(&mut tx, caller.workspace, id, now).await?;
        audit_logs::note(&mut tx, &caller.actor(), "brand.delete", id, json!({}), now).await?;
        tx.commit().await?;
        Ok(Deleted::Gone)
    }
}

impl NewBrand {
    pub(super) fn checked(self) -> Result<brands::NewBrand> {
        let NewBrand { name, kind, aliases, domains } = self;
        let mut rules = Rules::default();
        rules.name("/name", &name);
        for (index, alias) in aliases.iter().enumerate() {
            rules.name(&format!("/aliases/{index}/text"), &alias.text);
        }
        let domains: Vec<_> = domains.iter().map(|d| d.trim().to_lowercase()).collect();
        for (index, domain) in domains.iter().enumerate() {
            rules.domain(&format!("/domains/{index}"), domain);
        }
        rules.check()?;
        Ok(brands::NewBrand {
            name: name.trim().into(),
            kind: kind.into(),
            aliases: aliases.into_iter().map(Into::into).collect(),
            domains,
        })
    }
}

/// The brand with what its aliases may be mistaken for.
async fn linted(conn: &mut Conn, row: brands::Brand) -> Result<Brand> {
    let tracked = brands::tracked(conn, row.workspace_id).await?;
    let warnings = lint(&row, &tracked);
    Ok(Brand { warnings, ..row.into() })
}

/// What the aliases of `row` may be mistaken for, among the brands that are tracked.
pub(super) fn lint(row: &brands::Brand, tracked: &[brands::Brand]) -> Vec<AliasWarning> {
    // A brand that is not tracked has an index that no tracked brand has.
    let own = tracked.iter().position(|other| other.id == row.id).unwrap_or(tracked.len());
    let own = u32::try_from(own).unwrap_or(u32::MAX);
    let others: Vec<TrackedBrand> = (0..)
        .zip(tracked)
        .map(|(id, brand)| TrackedBrand { id, aliases: brand_names::known(id, brand).aliases })
        .collect();
    let mut warnings = Vec::new();
    let known = brand_names::known(own, row);
    for (index, alias) in known.aliases.iter().enumerate() {
        // The name follows the aliases, when it is counted at all.
        let is_alias = index < row.aliases.len();
        let pointer = if is_alias { format!("/aliases/{index}") } else { "/name".into() };
        for warning in mentions::lint_alias(alias, own, &others) {
            let detail = explain(&warning, tracked);
            warnings.push(AliasWarning { pointer: pointer.clone(), detail });
        }
    }
    warnings
}

fn explain(warning: &mentions::AliasWarning, tracked: &[brands::Brand]) -> String {
    let name = |number: u32| {
        let brand = usize::try_from(number).ok().and_then(|index| tracked.get(index));
        brand.map_or("another brand", |brand| brand.name.as_str())
    };
    match warning {
        mentions::AliasWarning::Empty => "has nothing that a text could hold".into(),
        mentions::AliasWarning::TooShort => {
            "has fewer than 3 characters: much that is not the brand looks like it".into()
        }
        mentions::AliasWarning::CommonWord => {
            "is a common word: guard it with `require_capital` or `must_have_near`".into()
        }
        mentions::AliasWarning::SameAs { brand, .. } => {
            format!("is an alias of {} too: the brand that was made first counts", name(*brand))
        }
        mentions::AliasWarning::PartOf { brand, .. } => {
            format!("is part of an alias of {}: where that stands, that one counts", name(*brand))
        }
        mentions::AliasWarning::Contains { brand, .. } => {
            format!("contains an alias of {}: where this stands, this one counts", name(*brand))
        }
    }
}

impl From<brands::Brand> for Brand {
    fn from(row: brands::Brand) -> Self {
        let brands::Brand {
            number: _,
            id,
            workspace_id: _,
            name,
            kind,
            aliases,
            domains,
            archived_at: _,
            created_at,
            updated_at,
        } = row;
        Brand {
            id: id.0,
            name,
            kind: kind.into(),
            aliases: aliases.0.into_iter().map(Into::into).collect(),
            domains: domains.0,
            warnings: vec![],
            created_at: created_at.into(),
            updated_at: updated_at.into(),
        }
    }
}

impl From<brands::Alias> for Alias {
    fn from(alias: brands::Alias) -> Self {
        let brands::Alias {
            text,
            require_capital,
            must_have_near,
            forbidden_before,
            forbidden_after,
        } = alias;
        Alias { text, require_capital, must_have_near, forbidden_before, forbidden_after }
    }
}

impl From<Alias> for brands::Alias {
    fn from(alias: Alias) -> Self {
        let Alias { text, require_capital, must_have_near, forbidden_before, forbidden_after } =
            alias;
        let text = text.trim().to_owned();
        brands::Alias { text, require_capital, must_have_near, forbidden_before, forbidden_after }
    }
}

impl From<brands::BrandKind> for BrandKind {
    fn from(kind: brands::BrandKind) -> Self {
        match kind {
            brands::BrandKind::Own => BrandKind::Own,
            brands::BrandKind::Competitor => BrandKind::Competitor,
        }
    }
}

impl From<BrandKind> for brands::BrandKind {
    fn from(kind: BrandKind) -> Self {
        match kind {
            BrandKind::Own => brands::BrandKind::Own,
            BrandKind::Competitor => brands::BrandKind::Competitor,
        }
    }
}
