// The operator's settings.

const price = { type: ["number", "string"] };

export const schema = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  title: "Gemini",
  type: "object",
  properties: {
    model: {
      type: ["string", "null"],
      examples: ["gemini-2.5-flash"],
      description: "Model for queries that name none.",
    },
    resolve_redirects: {
      type: ["boolean", "null"],
      default: true,
      description:
        "Ask Google where each source leads. Without it every source belongs to Google's redirect.",
    },
    max_output_tokens: {
      type: ["integer", "null"],
      minimum: 16,
      description: "Longest answer, thoughts included.",
    },
    thinking_budget: {
      type: ["integer", "null"],
      minimum: -1,
      description: "Tokens for thoughts: 0 for none, -1 to let the model decide.",
    },
    latitude: { type: ["number", "null"], minimum: -90, maximum: 90 },
    longitude: { type: ["number", "null"], minimum: -180, maximum: 180 },
    search_price_micro_usd: {
      type: ["integer", "null"],
      minimum: 0,
      description:
        "Price of a grounded prompt (2.x models, 35000 by default) or of a search (later ones, 14000).",
    },
    model_prices: {
      type: "object",
      description:
        "Dollars per million tokens, by the model's name. Gemini names no cost: without a price an answer has none.",
      additionalProperties: {
        type: "object",
        required: ["input", "output"],
        properties: { input: price, output: price, cached_input: price },
      },
    },
  },
};
