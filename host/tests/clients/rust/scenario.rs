//! What a user of the API does, in types that are generated from its document.

#[rustfmt::skip]
#[path = "client/mod.rs"]
mod client;

use anyhow::{Context, bail, ensure};
use client::{
    AiVisibilityClient, ApiResponse, BatchOrPlannedBatch, BatchState, BrandKind, CreateBatchRequest,
    CreateBrandRequest, CreatePromptRequest, CreatePromptRequestHeader, CreateWebhookRequest,
    EventType, FindBatchRequest, FindBatchRequestPath, FindMetricsOverviewRequest, ListRunsRequest,
    ListRunsRequestQuery, NewBatch, NewBrand, NewEngine, NewPrompt, NewWebhook, SaveEngineRequest,
    SaveEngineRequestPath, WhoamiRequest,
};
use std::{env, fmt::Debug, time::Duration};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let client = AiVisibilityClient::with_base_url(env::var("AIV_URL")?)?;
    let client = client.with_bearer(env::var("AIV_KEY")?);

    let who = value(client.whoami(WhoamiRequest {}).await?)?;
    ensure!(who.role.to_string() == "owner", "{who:?}");

    let acme = NewBrand {
        name: "Acme".into(),
        kind: BrandKind::Own,
        domains: Some(vec!["acme.com".into()]),
        ..NewBrand::default()
    };
    let acme = CreateBrandRequest { body: acme, ..CreateBrandRequest::default() };
    let made = client.create_brand(acme).await?;
    ensure!(matches!(made, ApiResponse::Created(_)), "{made:?}");

    let text = "What is the best CRM for a small agency?";
    let header = CreatePromptRequestHeader { idempotency_key: Some("rust".into()) };
    let mut prompt = NewPrompt { text: text.into(), ..NewPrompt::default() };
    prompt.tags = Some(["crm".to_owned()].into());
    let request = CreatePromptRequest { header, body: prompt.clone() };
    let made = value(client.create_prompt(request).await?)?;
    ensure!(made.body.text == text, "{made:?}");

    // A refusal is typed as well.
    prompt.persona = Some("nobody".into());
    let request = CreatePromptRequest { body: prompt, ..CreatePromptRequest::default() };
    let ApiResponse::UnprocessableEntity(refused) = client.create_prompt(request).await? else {
        bail!("a persona that is not there was taken")
    };
    let errors = refused.body.errors.context("no rule is named")?;
    ensure!(refused.body.code == "invalid" && errors[0].pointer == "/persona", "{errors:?}");

    let request = SaveEngineRequest {
        path: SaveEngineRequestPath { engine: "perplexity".into() },
        body: NewEngine { config: Some(serde_json::json!({})), ..NewEngine::default() },
        ..SaveEngineRequest::default()
    };
    let engine = value(client.save_engine(request).await?)?;
    ensure!(engine.body.enabled, "{engine:?}");

    let batch = NewBatch {
        tags: Some(["crm".to_owned()].into()),
        engines: Some(["perplexity".to_owned()].into()),
        ..NewBatch::default()
    };
    let request = CreateBatchRequest { body: batch, ..CreateBatchRequest::default() };
    let started = value(client.create_batch(request).await?)?;
    // A plan would have no id: this is no dry run.
    let BatchOrPlannedBatch::Batch(started) = started.body else { bail!("{started:?}") };
    let path = FindBatchRequestPath { batch: started.id };
    let mut tries = 0;
    loop {
        let request = FindBatchRequest { path: path.clone() };
        let batch = value(client.find_batch(request).await?)?;
        if batch.state == BatchState::Completed {
            break;
        }
        tries += 1;
        ensure!(tries < 300, "the batch is {:?}", batch.state);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    let query = ListRunsRequestQuery { limit: Some(10), ..ListRunsRequestQuery::default() };
    let runs = value(client.list_runs(ListRunsRequest { query }).await?)?;
    ensure!(runs.data.len() == 1, "{runs:?}");
    let request = FindMetricsOverviewRequest::default();
    let overview = value(client.find_metrics_overview(request).await?)?;
    ensure!(overview.current.brands[0].name == "Acme", "{overview:?}");

    let webhook = NewWebhook {
        url: "https://hooks.example.com/".into(),
        event_types: Some([EventType::BatchCompleted].into()),
        ..NewWebhook::default()
    };
    let request = CreateWebhookRequest { body: webhook, ..CreateWebhookRequest::default() };
    let webhook = value(client.create_webhook(request).await?)?;
    ensure!(webhook.body.secret.is_some_and(|secret| secret.starts_with("whsec_")));
    Ok(())
}

/// What a success holds.
fn value<V: Debug, F: Debug>(response: ApiResponse<V, F>) -> anyhow::Result<V> {
    match response {
        ApiResponse::Ok(value) | ApiResponse::Created(value) | ApiResponse::Accepted(value) => {
            Ok(value)
        }
        refused => bail!("{refused:?}"),
    }
}
