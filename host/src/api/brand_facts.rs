use super::{Body, Caller, Problem, Tag, Tagged, etag, rules::Rules, types::Timestamp};
use crate::{
    App, Result,
    ids::BrandId,
    store::{
        audit_logs,
        brand_facts::{self, Fact, FactSet, FactValue},
        brands,
    },
};
use chrono::NaiveDate;
use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Header, Path},
    types::Any,
};
use serde_json::{Value, json};
use std::collections::HashSet;
use uuid::Uuid;

/// What sort of value a fact has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
enum FactKind {
    /// A string.
    Text,
    Number,
    /// True or false.
    Flag,
    /// `YYYY-MM-DD`.
    Date,
    /// An https address.
    Url,
    /// A list of strings, each of them true.
    List,
}

/// One fact of a brand: what answers are held against.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
struct BrandFact {
    /// What it says, such as `founded`; once per brand.
    #[oai(validator(min_length = 1, max_length = 100))]
    name: String,
    kind: FactKind,
    /// Of the type that `kind` says.
    value: Any<Value>,
    /// Where it can be read.
    #[oai(validator(max_length = 2000))]
    source_url: Option<String>,
}

/// All facts of a brand.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
struct BrandFacts {
    brand_id: Uuid,
    /// Grows with each change; 0 before the first.
    version: i64,
    data: Vec<BrandFact>,
    /// Who wrote this version.
    updated_by: Option<String>,
    updated_at: Option<Timestamp>,
}

/// The facts of a brand, replacing all.
#[derive(Object)]
struct NewBrandFacts {
    #[oai(validator(max_items = 200))]
    facts: Vec<BrandFact>,
}

pub(super) struct Api(pub(super) App);

#[OpenApi(tag = "Tag::Brands")]
impl Api {
    /// Find a brand's facts
    #[oai(path = "/brands/:brand/facts", method = "get", operation_id = "find_brand_facts")]
    async fn find(
        &self,
        caller: Caller,
        /// Id of the brand.
        brand: Path<Uuid>,
        /// Answers 304 when this is the current version.
        #[oai(name = "If-None-Match")]
        if_none_match: Header<Option<String>>,
    ) -> Result<Tagged<BrandFacts>, Problem> {
        let id = BrandId(brand.0);
        let mut conn = self.0.store.read().await?;
        brands::find(&mut conn, caller.workspace, id).await?;
        let facts = BrandFacts::of(id, brand_facts::newest(&mut conn, caller.workspace, id).await?);
        Ok(Tagged::unless(facts.version, facts, if_none_match.0.as_deref()))
    }

    /// Save a brand's facts
    ///
    /// Replaces all of them; earlier versions are kept.
    #[oai(path = "/brands/:brand/facts", method = "put", operation_id = "save_brand_facts")]
    async fn save(
        &self,
        caller: Caller,
        /// Id of the brand.
        brand: Path<Uuid>,
        /// Fails with 412 when this is not the current version.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        new: Body<NewBrandFacts>,
    ) -> Result<Tagged<BrandFacts>, Problem> {
        let facts = new.0.checked()?;
        let expected = etag::expected(if_match.0.as_deref(), "facts")?;
        let (workspace, id, now) = (caller.workspace, BrandId(brand.0), self.0.clock.now());
        let mut tx = self.0.store.begin().await?;
        brands::find(&mut tx, workspace, id).await?;
        let by = caller.label();
        let set = brand_facts::save(&mut tx, workspace, id, expected, &facts, &by, now).await?;
        let what = json!({"version": set.version, "facts": facts.len()});
        audit_logs::note(&mut tx, &caller.actor(), "brand_facts.save", id, what, now).await?;
        tx.commit().await?;
        let facts = BrandFacts::of(id, Some(set));
        Ok(Tagged::new(facts.version, facts))
    }
}

impl BrandFacts {
    fn of(brand: BrandId, set: Option<FactSet>) -> Self {
        let Some(set) = set else {
            return BrandFacts {
                brand_id: brand.0,
                version: 0,
                data: vec![],
                updated_by: None,
                updated_at: None,
            };
        };
        let FactSet { workspace_id: _, brand_id, version, facts, created_by, created_at } = set;
        BrandFacts {
            brand_id: brand_id.0,
            version,
            data: facts.0.into_iter().map(Into::into).collect(),
            updated_by: Some(created_by),
            updated_at: Some(created_at.into()),
        }
    }
}

impl NewBrandFacts {
    fn checked(self) -> Result<Vec<Fact>> {
        let mut rules = Rules::default();
        let mut names = HashSet::new();
        let mut facts = Vec::with_capacity(self.facts.len());
        for (index, fact) in self.facts.into_iter().enumerate() {
            let BrandFact { name, kind, value, source_url } = fact;
            let at = |field: &str| format!("/facts/{index}/{field}");
            let name = name.trim().to_owned();
            rules.name(&at("name"), &name);
            rules.require(names.insert(name.clone()), at("name"), "stands in the list twice");
            if let Some(url) = &source_url {
                rules.require(is_web(url), at("source_url"), "must be an http or https address");
            }
            match typed(kind, value.0) {
                Some(value) => facts.push(Fact { name, value, source_url }),
                None => rules.require(false, at("value"), "is not of the type that `kind` says"),
            }
        }
        rules.check()?;
        Ok(facts)
    }
}

/// Longest text of a fact.
const LONGEST: usize = 2000;

fn typed(kind: FactKind, value: Value) -> Option<FactValue> {
    let text = |value: &Value| {
        let text = value.as_str()?.trim();
        (!text.is_empty() && text.len() <= LONGEST).then(|| text.to_owned())
    };
    Some(match kind {
        FactKind::Text => FactValue::Text(text(&value)?),
        FactKind::Number => match value {
            Value::Number(number) => FactValue::Number(number),
            _ => return None,
        },
        FactKind::Flag => FactValue::Flag(value.as_bool()?),
        FactKind::Date => FactValue::Date(value.as_str()?.parse::<NaiveDate>().ok()?),
        FactKind::Url => FactValue::Url(text(&value).filter(|url| is_web(url))?),
        FactKind::List => {
            let values = value.as_array().filter(|values| (1..=100).contains(&values.len()))?;
            FactValue::List(values.iter().map(text).collect::<Option<_>>()?)
        }
    })
}

fn is_web(url: &str) -> bool {
    url::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

impl From<Fact> for BrandFact {
    fn from(fact: Fact) -> Self {
        let Fact { name, value, source_url } = fact;
        let (kind, value) = match value {
            FactValue::Text(text) => (FactKind::Text, text.into()),
            FactValue::Number(number) => (FactKind::Number, Value::Number(number)),
            FactValue::Flag(flag) => (FactKind::Flag, flag.into()),
            FactValue::Date(date) => (FactKind::Date, date.to_string().into()),
            FactValue::Url(url) => (FactKind::Url, url.into()),
            FactValue::List(list) => (FactKind::List, list.into()),
        };
        BrandFact { name, kind, value: Any(value), source_url }
    }
}
