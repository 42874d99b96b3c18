//! Prompts in bulk: files in and out, many changed at once, suggestions.

use crate::support::{Answer, Host};
use serde_json::{Value, json};

async fn import_csv(host: &Host, query: &str, csv: &str) -> Answer {
    let request = host
        .client
        .post(format!("/v1/prompts/import{query}"))
        .header("x-api-key", host.key())
        .header("content-type", "text/csv; charset=utf-8")
        .body(csv.to_owned());
    Answer::of(request.send().await).await
}

const FILE: &str = "\u{feff}text,intent,topic,tags,language,country,active
best crm?,best,CRM,a; b,en,US,yes
\"what, exactly, is a crm?\",,,,,,no
'=HYPERLINK is what?,,,,,,
";

#[tokio::test]
async fn a_file_of_prompts_goes_in_and_comes_out_again() {
    let host = Host::start().await;
    let plan = import_csv(&host, "?dry_run=true", FILE).await.expect(200);
    let planned = json!({"dry_run": true, "rows": 3, "created": 3, "existing": 0});
    assert_eq!(plan, planned);
    assert_eq!(host.get("/v1/prompts").await.expect(200)["data"], json!([]));
    assert_eq!(host.get("/v1/topics").await.expect(200)["data"], json!([]));

    let report = import_csv(&host, "", FILE).await.expect(200);
    assert_eq!((&report["dry_run"], &report["created"]), (&json!(false), &json!(3)));
    // Sent again, it changes nothing.
    let report = import_csv(&host, "", FILE).await.expect(200);
    assert_eq!((&report["created"], &report["existing"]), (&json!(0), &json!(3)));

    let list = host.get("/v1/prompts?topic=CRM").await.expect(200);
    let first = &list["data"][0];
    assert_eq!((&first["tags"], &first["intent"]), (&json!(["a", "b"]), &json!("best")));
    let inactive = host.get("/v1/prompts?active=false").await.expect(200);
    assert_eq!(inactive["data"][0]["text"], "what, exactly, is a crm?");
    let id = first["id"].as_str().unwrap();
    let versions = host.get(format!("/v1/prompts/{id}/versions")).await.expect(200);
    assert_eq!(versions["data"][0]["text"], "best crm?");

    let csv = host.get("/v1/prompts/export").await;
    assert_eq!(csv.header("content-disposition"), Some("attachment; filename=\"prompts.csv\""));
    let csv = csv.expect(200);
    let csv = csv.as_str().unwrap();
    assert!(csv.contains("\n'=HYPERLINK"), "a cell is a formula: {csv}");
    let json = host.get("/v1/prompts/export?format=json").await.expect(200);
    let other = host.other_workspace().await;
    assert_eq!(import_csv(&other, "", csv).await.expect(200)["created"], 3);
    let again = other.post("/v1/prompts/import", json).await.expect(200);
    assert_eq!((&again["created"], &again["existing"]), (&json!(0), &json!(3)));
}

#[tokio::test]
async fn a_broken_row_refuses_the_whole_file_and_is_named() {
    let host = Host::start().await;
    let file = "text,country,persona\nbest crm?,US,\nx,USA,\n,,\nwho?,XX,\nhow so?,,nobody\n";
    let refused = import_csv(&host, "", file).await.expect(422);
    let mut pointers: Vec<&str> = refused["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["pointer"].as_str().unwrap())
        .collect();
    pointers.sort_unstable();
    assert_eq!(pointers, ["/prompts/1/country", "/prompts/1/text", "/prompts/2/text"]);
    // What a schema cannot say comes next, and what only the database knows last.
    let file = "text,country,persona\nwho?,XX,\nhow so?,,nobody\n";
    let refused = import_csv(&host, "", file).await.expect(422);
    assert_eq!(refused["errors"][0]["pointer"], "/prompts/0/country");
    let file = "text,persona\nbest crm?,\nhow so?,nobody\n";
    let refused = import_csv(&host, "?dry_run=true", file).await.expect(422);
    assert_eq!(refused["errors"][0]["pointer"], "/prompts/1/persona");
    assert_eq!(host.get("/v1/prompts").await.expect(200)["data"], json!([]));

    let unknown = import_csv(&host, "", "text,colour\nbest crm?,red\n").await.expect(422);
    assert!(unknown["detail"].as_str().unwrap().contains("colour"));
    assert_eq!(import_csv(&host, "", "text\na,b,c\n").await.status, 400);
    let many = "text\n".to_owned() + &"best crm?\n".repeat(5001);
    assert_eq!(import_csv(&host, "", &many).await.status, 422);
}

#[tokio::test]
async fn many_prompts_are_changed_together_or_not_at_all() {
    let host = Host::start().await;
    let file = json!({"prompts": [{"text": "one?", "tags": ["x"]}, {"text": "two?"}]});
    host.post("/v1/prompts/import", file).await.expect(200);
    let list = host.get("/v1/prompts").await.expect(200);
    let ids: Vec<Value> =
        list["data"].as_array().unwrap().iter().map(|row| row["id"].clone()).collect();
    let change = async |body: Value| host.post("/v1/prompts/bulk", body).await;

    let strange = json!([ids[0], "019a0000-0000-7000-8000-000000000000"]);
    let refused = change(json!({"action": "archive", "prompt_ids": strange})).await.expect(422);
    assert_eq!(refused["errors"][0]["pointer"], "/prompt_ids/1");
    let tag = json!({"action": "tag", "prompt_ids": ids, "add_tags": ["y"], "remove_tags": ["x"]});
    assert_eq!(change(tag).await.expect(200), json!({"changed": 2}));
    change(json!({"action": "deactivate", "prompt_ids": [ids[0]]})).await.expect(200);
    let list = host.get("/v1/prompts").await.expect(200);
    assert_eq!(
        (&list["data"][0]["tags"], &list["data"][0]["active"]),
        (&json!(["y"]), &json!(false))
    );
    assert_eq!(list["data"][1]["active"], true);
    change(json!({"action": "activate", "prompt_ids": ids})).await.expect(200);
    change(json!({"action": "archive", "prompt_ids": ids})).await.expect(200);
    assert_eq!(host.get("/v1/prompts").await.expect(200)["data"], json!([]));
    let log = host.get("/v1/audit-log?action=prompt.delete").await.expect(200);
    assert_eq!(log["data"][0]["payload"]["prompts"], 2);
}

#[tokio::test]
async fn suggestions_come_from_what_is_declared_and_leave_out_what_is_tracked() {
    let host = Host::start().await;
    let empty = host.post("/v1/prompts/suggest", json!({})).await.expect(200);
    assert_eq!(empty["data"], json!([]));
    assert_eq!(empty["missing"], json!(["topics", "own brands", "competitors", "places"]));

    host.post("/v1/brands", json!({"name": "Acme", "kind": "own"})).await.expect(201);
    host.post("/v1/brands", json!({"name": "Rival", "kind": "competitor"})).await.expect(201);
    host.post("/v1/topics", json!({"name": "CRM"})).await.expect(201);
    let found = host.post("/v1/prompts/suggest", json!({"limit": 500})).await.expect(200);
    let texts: Vec<&str> =
        found["data"].as_array().unwrap().iter().map(|s| s["text"].as_str().unwrap()).collect();
    assert!(texts.contains(&"What is the best CRM?") && texts.len() > 10, "{texts:?}");
    assert_eq!(host.get("/v1/prompts").await.expect(200)["data"], json!([]));

    host.post("/v1/prompts", json!({"text": "What is the best CRM?"})).await.expect(201);
    let fewer = host.post("/v1/prompts/suggest", json!({"limit": 500})).await.expect(200);
    assert_eq!(fewer["data"].as_array().unwrap().len(), texts.len() - 1);
    let klingon = host.post("/v1/prompts/suggest", json!({"language": "tlh"})).await.expect(422);
    assert_eq!(klingon["errors"][0]["pointer"], "/language");
}
