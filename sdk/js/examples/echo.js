// The smallest provider: it asks a service that echoes the prompt back.
//
// Build it with `componentize-qjs -w ../../wit/provider-0.1 -n provider --sync --stub-wasi -m
// --opt-size --module-root .. -j echo.js -o echo.wasm`.

import {
  absent,
  answered,
  citations,
  decimalAt,
  eventStream,
  events,
  fail,
  isSuccess,
  itemsAt,
  jsonOf,
  kindOfStatus,
  language,
  malformed,
  manifest,
  meta,
  prefixed,
  provider,
  reported,
  request,
  retryAfterMs,
  stringAt,
  stringsAt,
  surface,
  u32At,
  usage,
} from "../src/index.js";

export const engine = provider({
  describe: () =>
    manifest({
      key: "echo",
      displayName: "Echo",
      version: "0.1.0",
      description: "Answers with the prompt",
      homepage: "https://echo.example/docs",
      hosts: [
        {
          host: "echo.example",
          credential: "api-key",
          variable: "ECHO_API_KEY",
          description: "A key of echo.example",
        },
      ],
      surfaces: [surface("echo", "Echo", { context: { language: true }, typicalCostMicroUsd: 100 })],
    }),

  request: (query) =>
    request("get", "https://echo.example/v1/echo", {
      query: { q: query.prompt, lang: language(query) },
      headers: { authorization: prefixed("Bearer ", "api-key") },
    }),

  parse(query, response) {
    if (!isSuccess(response)) refuse(response);
    const body = assembled(response);
    const text = body.echo;
    if (typeof text !== "string") malformed(response, "no echo");
    const usd = decimalAt(body, "/usd");
    const about = meta(query, {
      servedModel: stringAt(body, "/model"),
      requestId: stringAt(body, "/id"),
      finish: "stop",
      retrieval: itemsAt(body, "/searches").length > 0 ? "searched" : "not-searched",
      queries: stringsAt(body, "/searches"),
      usage: usage({
        inputTokens: u32At(body, "/usage/input"),
        outputTokens: u32At(body, "/usage/output"),
        searches: itemsAt(body, "/searches").length,
      }),
      cost: usd && reported(usd),
    });
    if (text.trim() === "") return absent("empty", about);
    const sources = citations();
    itemsAt(body, "/sources").forEach((source, at) => {
      const marker = String(at + 1);
      const isCited = text.includes(`[${marker}]`);
      sources.add(isCited ? "cited" : "listed", {
        url: stringAt(source, "/url"),
        title: stringAt(source, "/title"),
        markers: isCited ? [marker] : [],
      });
    });
    sources.addLinks(text);
    about.warnings.push(...sources.warnings());
    return answered({ text, citations: sources.list(), meta: about });
  },
});

/** The body that a stream adds up to, or the body. */
function assembled(response) {
  const stream = eventStream(response);
  if (stream === undefined) return jsonOf(response);
  let echo = "";
  for (const { data } of events(stream)) {
    const event = JSON.parse(data);
    if (event.done) return { ...event.done, echo };
    echo += stringAt(event, "/delta") ?? "";
  }
  malformed(response, "the stream ends before the answer does");
}

function refuse(response) {
  let code;
  let message = "the service refused";
  if (response.body.tag === "text" && response.body.val.startsWith("{")) {
    const body = jsonOf(response);
    code = stringAt(body, "/error/code");
    message = stringAt(body, "/error/message") ?? message;
  }
  fail(kindOfStatus(response.status), message, {
    response,
    code,
    retryAfterMs: retryAfterMs(response),
  });
}
