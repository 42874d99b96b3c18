use super::{Caller, Problem, Tag};
use crate::{App, store::locales};
use poem_openapi::{Object, OpenApi, payload::Json};

/// In which language and from where prompts are asked.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
struct Locale {
    /// BCP 47 tag; the engine's own when absent.
    language: Option<String>,
    /// ISO 3166-1 alpha-2 code; the engine's own when absent.
    country: Option<String>,
    /// Place, in the words of the engine.
    location: Option<String>,
    /// Prompts that are asked there and not archived.
    prompts: i64,
}

/// Every locale in use.
#[derive(Object)]
struct LocaleList {
    /// The most used first.
    data: Vec<Locale>,
}

pub(super) struct Api(pub(super) App);

#[OpenApi(tag = "Tag::Prompts")]
impl Api {
    /// List the locales
    ///
    /// Those that prompts name.
    #[oai(path = "/locales", method = "get", operation_id = "list_locales")]
    async fn list(&self, caller: Caller) -> Result<Json<LocaleList>, Problem> {
        let mut conn = self.0.store.read().await?;
        let rows = locales::list(&mut conn, caller.workspace).await?;
        Ok(Json(LocaleList { data: rows.into_iter().map(Into::into).collect() }))
    }
}

impl From<locales::Locale> for Locale {
    fn from(row: locales::Locale) -> Self {
        let locales::Locale { language, country, location, prompts } = row;
        Locale { language, country, location, prompts }
    }
}
