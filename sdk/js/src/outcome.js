// Outcomes, and the instrument: what was asked of what, and what answered.

/** An answer: `{text, citations?, relatedQuestions?, meta}`. */
export function answered({ text, citations = [], relatedQuestions = [], meta }) {
  return { tag: "answered", val: { text, citations, relatedQuestions, meta } };
}

/** No answer, which is a result: `not-triggered`, `declined`, `no-results`, `empty`, `truncated`. */
export function absent(reason, meta) {
  return { tag: "absent", val: { reason, meta } };
}

/** What is known of the answer; `totalTokens` is kept when it is not input plus output. */
export function meta(query, parts = {}) {
  const { totalTokens, extra = [], queries = [], ...rest } = parts;
  const { inputTokens, outputTokens } = rest.usage ?? {};
  const isNew = totalTokens !== undefined && totalTokens !== inputTokens + outputTokens;
  return {
    surface: query.surface,
    finish: "unspecified",
    retrieval: "unknown",
    warnings: [],
    ...rest,
    queries: [...new Set(queries)],
    extra: isNew ? [...extra, ["total-tokens", String(totalTokens)]] : extra,
  };
}

/** What the vendor counted; `undefined` where it does not say. */
export function usage({ inputTokens, outputTokens, cachedInputTokens, reasoningTokens, searches }) {
  return { inputTokens, outputTokens, cachedInputTokens, reasoningTokens, searches };
}
