// An answer of generateContent.

import {
  absent,
  answered,
  citations,
  fail,
  itemsAt,
  jsonOf,
  malformed,
  meta,
  stringAt,
  stringsAt,
  u32At,
  usage,
} from "../../../sdk/js/src/index.js";
import { costOf } from "./pricing.js";
import { modelOf } from "./surface.js";

const FINISH = { STOP: "stop", MAX_TOKENS: "length" };
const BLOCKED = ["SAFETY", "RECITATION", "PROHIBITED_CONTENT", "BLOCKLIST", "SPII", "IMAGE_SAFETY"];

/** What the response says, as far as it is known before the sources are resolved. */
export function read(query, config, response) {
  const body = jsonOf(response);
  const candidate = itemsAt(body, "/candidates")[0];
  const cost = costOf(body, config, modelOf(query, config));
  const blocked = stringAt(body, "/promptFeedback/blockReason");
  if (candidate === undefined) {
    if (blocked === undefined) malformed(response, "body has no candidate");
    withheld(response, blocked, cost);
  }
  const reason = stringAt(candidate, "/finishReason");
  // A candidate without an end was cut off.
  if (reason === undefined) malformed(response, "the answer has no end");
  const parts = itemsAt(candidate, "/content/parts").filter((part) => part?.thought !== true);
  const text = parts.map((part) => stringAt(part, "/text") ?? "").join("");
  if (text.trim() === "" && BLOCKED.includes(reason)) withheld(response, reason, cost);
  const queries = stringsAt(candidate, "/groundingMetadata/webSearchQueries");
  const sources = sourcesOf(candidate);
  const isSearched = queries.length > 0 || sources.length > 0;
  const filtered = BLOCKED.includes(reason) ? "content-filter" : "other";
  const about = meta(query, {
    requestedModel: modelOf(query, config),
    servedModel: stringAt(body, "/modelVersion"),
    requestId: stringAt(body, "/responseId"),
    finish: FINISH[reason] ?? filtered,
    retrieval: isSearched ? "searched" : "not-searched",
    queries,
    usage: usageOf(body, queries.length),
    totalTokens: u32At(body, "/usageMetadata/totalTokenCount"),
    cost,
  });
  return { text, sources, about, asked: 0, unresolved: 0, warnings: [] };
}

/** The outcome, with the sources as they were found. */
export function finished(query, { text, sources, about, warnings }) {
  const list = citations();
  for (const { isCited, ...source } of sources) list.add(isCited ? "cited" : "listed", source);
  list.addLinks(text);
  const known = { ...about, warnings: [...warnings, ...list.warnings()] };
  if (text.trim() === "") return absent(about.finish === "stop" ? "empty" : "truncated", known);
  return answered({ text, citations: list.list(), meta: known });
}

/** A source is cited when a piece of the text is said to rest on it. */
function sourcesOf(candidate) {
  const supports = itemsAt(candidate, "/groundingMetadata/groundingSupports");
  const cited = new Set(supports.flatMap((support) => itemsAt(support, "/groundingChunkIndices")));
  return itemsAt(candidate, "/groundingMetadata/groundingChunks").flatMap((chunk, index) => {
    // A place of a map or a file of a store is no page.
    if (stringAt(chunk, "/web/uri") === undefined) return [];
    const isCited = cited.has(index);
    const markers = isCited ? [String(index)] : [];
    const title = stringAt(chunk, "/web/title");
    return [{ url: stringAt(chunk, "/web/uri"), title, markers, isCited }];
  });
}

function usageOf(body, searches) {
  const count = (name) => u32At(body, `/usageMetadata/${name}`);
  if (count("totalTokenCount") === undefined) return undefined;
  return usage({
    inputTokens: count("promptTokenCount"),
    outputTokens: count("candidatesTokenCount"),
    cachedInputTokens: count("cachedContentTokenCount"),
    reasoningTokens: count("thoughtsTokenCount"),
    searches,
  });
}

function withheld(response, reason, spent) {
  fail("content-blocked", `the answer was withheld: ${reason}`, { response, code: reason, spent });
}
