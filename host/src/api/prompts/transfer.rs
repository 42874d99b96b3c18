//! Prompts as files: in from a spreadsheet or a program, and out again.

use super::types::NewPrompt;
use crate::{
    App, Error, Result, Violation,
    api::{
        Body, Caller, Problem, Tag,
        download::{CSV, CsvOrJson, Download, JSON, csv_lines, original},
    },
    store::{
        audit_logs, prompt_sets,
        prompts::{self, PromptFilter},
    },
};
use poem::{FromRequest, Request, RequestBody, http::StatusCode};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, Enum, ExtractParamOptions, Object, OpenApi,
    param::Query,
    payload::Json,
    registry::{MetaMediaType, MetaRequest, Registry},
    types::{self, ToJSON},
};
use serde_json::{Map, Value, json};

/// Prompts to import.
#[derive(Object)]
struct PromptImport {
    #[oai(validator(min_items = 1, max_items = 5000))]
    prompts: Vec<NewPrompt>,
}

/// What an import came to, or would come to.
#[derive(Object)]
struct PromptImportReport {
    /// Nothing was written.
    dry_run: bool,
    /// Prompts in the file.
    rows: i64,
    /// Prompts that were made, or would be.
    created: i64,
    /// Prompts that are asked already: same text, locale and persona. They stay as they are.
    existing: i64,
}

/// How a file of prompts is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
enum PromptFormat {
    /// For spreadsheets.
    #[default]
    Csv,
    /// As the import takes it.
    Json,
}

pub(in crate::api) struct Api(pub(in crate::api) App);

#[OpenApi(tag = "Tag::Prompts")]
impl Api {
    /// Import prompts
    ///
    /// At most 5000, as JSON, or as `text/csv` with a header line and the columns `text` and, if
    /// you like, `intent`, `topic`, `persona`, `tags` (separated by `;`), `language`, `country`,
    /// `location` and `active`. All of them or none: a broken rule refuses the file, and `errors`
    /// lists every one with its row, counted from 0 after the header. Prompts that are there
    /// already are left alone, so that a file can be sent again.
    #[oai(path = "/prompts/import", method = "post", operation_id = "import_prompts")]
    async fn import(
        &self,
        caller: Caller,
        /// Only tell what it would come to.
        #[oai(default)]
        dry_run: Query<bool>,
        file: PromptFile,
    ) -> Result<Json<PromptImportReport>, Problem> {
        let new = checked(file.0)?;
        let (workspace, now) = (caller.workspace, self.0.clock.now());
        let mut tx = self.0.store.begin().await?;
        let imported = prompt_sets::import(&mut tx, workspace, &new, now).await?;
        if !dry_run.0 {
            let what = json!({"created": imported.created, "existing": imported.existing});
            audit_logs::note(&mut tx, &caller.actor(), "prompt.import", "many", what, now).await?;
            tx.commit().await?;
        }
        Ok(Json(PromptImportReport {
            dry_run: dry_run.0,
            rows: imported.created + imported.existing,
            created: imported.created,
            existing: imported.existing,
        }))
    }

    /// Export prompts
    ///
    /// All that the filter names, oldest first, in a file that the import takes. In CSV, a cell
    /// that a spreadsheet would take for a formula has a `'` before it, which the import takes off.
    #[oai(path = "/prompts/export", method = "get", operation_id = "export_prompts")]
    #[expect(clippy::too_many_arguments, reason = "each is a query parameter")]
    async fn export(
        &self,
        caller: Caller,
        /// How the file is written.
        #[oai(default)]
        format: Query<PromptFormat>,
        /// Only those with this tag.
        tag: Query<Option<String>>,
        /// Only those of this intent.
        intent: Query<Option<String>>,
        /// Only those about this topic.
        topic: Query<Option<String>>,
        /// Only those that this persona asks.
        persona: Query<Option<String>>,
        /// Only active ones, or only inactive ones.
        active: Query<Option<bool>>,
    ) -> Result<Download<CsvOrJson>, Problem> {
        let filter = PromptFilter {
            tag: tag.0,
            intent: intent.0,
            topic: topic.0,
            persona: persona.0,
            active: active.0,
            ..PromptFilter::default()
        };
        let mut conn = self.0.store.read().await?;
        let all = i64::from(i32::MAX);
        let rows = prompts::list(&mut conn, caller.workspace, &filter, None, all).await?;
        drop(conn);
        Ok(match format.0 {
            PromptFormat::Json => {
                let prompts = rows.into_iter().map(NewPrompt::from).collect();
                Download::new("prompts.json", JSON, PromptImport { prompts }.to_json_string())
            }
            PromptFormat::Csv => {
                let header = COLUMNS.map(str::to_owned);
                let lines = rows.into_iter().map(line);
                let lines = csv_lines(std::iter::once(header).chain(lines))?;
                Download::new("prompts.csv", CSV, lines)
            }
        })
    }
}

const COLUMNS: [&str; 9] =
    ["text", "intent", "topic", "persona", "tags", "language", "country", "location", "active"];

fn line(prompt: prompts::Prompt) -> [String; 9] {
    [
        prompt.text,
        prompt.intent.unwrap_or_default(),
        prompt.topic.unwrap_or_default(),
        prompt.persona.unwrap_or_default(),
        prompt.tags.join(";"),
        prompt.language.unwrap_or_default(),
        prompt.country.unwrap_or_default(),
        prompt.location.unwrap_or_default(),
        prompt.active.to_string(),
    ]
}

/// The rules that a schema cannot express, for every row.
fn checked(import: PromptImport) -> Result<Vec<prompts::NewPrompt>> {
    let mut violations = Vec::new();
    let mut rows = Vec::with_capacity(import.prompts.len());
    for (row, prompt) in import.prompts.into_iter().enumerate() {
        match prompt.checked() {
            Ok(prompt) => rows.push(prompt),
            Err(Error::Invalid(broken)) => {
                violations.extend(broken.into_iter().map(|Violation { pointer, detail }| {
                    Violation { pointer: format!("/prompts/{row}{pointer}"), detail }
                }));
            }
            Err(other) => return Err(other),
        }
    }
    if violations.is_empty() { Ok(rows) } else { Err(Error::Invalid(violations)) }
}

/// The body of an import: JSON, or CSV that is read as the same JSON, so that one set of rules
/// holds for both.
struct PromptFile(PromptImport);

impl<'a> ApiExtractor<'a> for PromptFile {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        // By its full name: with the trait in scope, its `is_empty` would go before that of `str`.
        <PromptImport as types::Type>::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        let content = vec![
            MetaMediaType {
                content_type: "application/json",
                schema: <PromptImport as types::Type>::schema_ref(),
            },
            MetaMediaType { content_type: CSV, schema: <String as types::Type>::schema_ref() },
        ];
        Some(MetaRequest { description: None, content, required: true })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let kind = request.content_type().unwrap_or_default();
        if kind.split(';').next().unwrap_or_default().trim() == CSV {
            let bytes = <Vec<u8> as FromRequest>::from_request(request, body).await?;
            return Ok(PromptFile(Body::of(read_csv(&bytes)?)?.0));
        }
        let Body(import) =
            <Body<PromptImport> as ApiExtractor>::from_request(request, body, options).await?;
        Ok(PromptFile(import))
    }
}

/// The import that a CSV file stands for.
fn read_csv(bytes: &[u8]) -> Result<Value, Problem> {
    let unreadable = |error: csv::Error| {
        Problem::new(StatusCode::BAD_REQUEST, "malformed", format!("the body is not CSV: {error}"))
    };
    // Spreadsheets write a mark before UTF-8.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
    let header = reader.headers().map_err(unreadable)?.clone();
    if let Some(unknown) = header.iter().find(|name| !COLUMNS.contains(name)) {
        let detail = format!("no column is called {unknown:?}; known: {}", COLUMNS.join(", "));
        return Err(Error::invalid("", detail).into());
    }
    let mut prompts = Vec::new();
    for record in reader.records() {
        let record = record.map_err(unreadable)?;
        let cells = header.iter().zip(&record).filter(|(_, cell)| !cell.is_empty());
        let row: Map<String, Value> =
            cells.map(|(name, cell)| (name.to_owned(), value(name, original(cell)))).collect();
        prompts.push(Value::Object(row));
    }
    Ok(json!({"prompts": prompts}))
}

fn value(column: &str, cell: &str) -> Value {
    match column {
        "tags" => cell.split(';').map(str::trim).filter(|tag| !tag.is_empty()).collect(),
        // What is neither is left to the schema to refuse.
        "active" => match cell.to_ascii_lowercase().as_str() {
            "true" | "yes" | "1" => true.into(),
            "false" | "no" | "0" => false.into(),
            _ => cell.into(),
        },
        _ => cell.into(),
    }
}

impl From<prompts::Prompt> for NewPrompt {
    fn from(row: prompts::Prompt) -> Self {
        NewPrompt {
            text: row.text,
            intent: row.intent,
            topic: row.topic,
            persona: row.persona,
            tags: row.tags.0,
            language: row.language,
            country: row.country,
            location: row.location,
            active: row.active,
        }
    }
}
