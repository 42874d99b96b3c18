"""What a user of the API does, with a client that is generated from its document."""

import os
import time

from aiv_client import AuthenticatedClient
from aiv_client.api.brands import create_brand
from aiv_client.api.engines import save_engine
from aiv_client.api.identity import whoami
from aiv_client.api.metrics import find_metrics_overview
from aiv_client.api.prompts import create_prompt
from aiv_client.api.runs import create_batch, find_batch, list_runs
from aiv_client.api.webhooks import create_webhook
from aiv_client.models import (
    Batch,
    BatchState,
    BrandKind,
    EventType,
    IssuedWebhook,
    MetricsOverview,
    NewBatch,
    NewBrand,
    NewEngine,
    NewPrompt,
    NewWebhook,
    Problem,
    Prompt,
    RunPage,
    Principal,
)

client = AuthenticatedClient(base_url=os.environ["AIV_URL"], token=os.environ["AIV_KEY"])

who = whoami.sync(client=client)
assert isinstance(who, Principal) and who.role == "owner", who

acme = NewBrand(name="Acme", kind=BrandKind.OWN, domains=["acme.com"])
assert create_brand.sync_detailed(client=client, body=acme).status_code == 201

text = "What is the best CRM for a small agency?"
new = NewPrompt(text=text, tags=["crm"])
prompt = create_prompt.sync(client=client, body=new, idempotency_key="python")
assert isinstance(prompt, Prompt) and prompt.text == text, prompt

# A refusal is typed as well.
refused = create_prompt.sync_detailed(client=client, body=NewPrompt(text="?"))
assert refused.status_code == 422
problem = refused.parsed
assert isinstance(problem, Problem) and problem.code == "invalid", problem
assert problem.errors and problem.errors[0].pointer == "/text", problem

saved = save_engine.sync_detailed("perplexity", client=client, body=NewEngine(concurrency=4))
assert saved.status_code == 200, saved

asked = NewBatch(tags=["crm"], engines=["perplexity"], samples=1)
batch = create_batch.sync(client=client, body=asked)
assert isinstance(batch, Batch), batch
for _ in range(300):
    found = find_batch.sync(batch.id, client=client)
    assert isinstance(found, Batch), found
    if found.state == BatchState.COMPLETED:
        break
    time.sleep(0.1)
else:
    raise AssertionError(found)

runs = list_runs.sync(client=client, limit=10)
assert isinstance(runs, RunPage) and len(runs.data) == 1, runs
overview = find_metrics_overview.sync(client=client)
assert isinstance(overview, MetricsOverview), overview
assert overview.current.brands[0].name == "Acme"

hook = NewWebhook(url="https://hooks.example.com/", event_types=[EventType.BATCH_COMPLETED])
webhook = create_webhook.sync(client=client, body=hook)
assert isinstance(webhook, IssuedWebhook), webhook
assert isinstance(webhook.secret, str) and webhook.secret.startswith("whsec_")
print("python: everything went as it should")
