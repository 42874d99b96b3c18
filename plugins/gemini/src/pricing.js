// What an answer cost. Gemini counts tokens and names no price: without the operator's prices the
// cost is not known.

import { Decimal, decimalAt, estimated, stringAt, stringsAt, u32At } from "../../../sdk/js/src/index.js";

/** Tokens and searches at the operator's prices; thoughts cost as much as the text. */
export function costOf(body, config, requested) {
  const served = stringAt(body, "/modelVersion");
  const price = config.model_prices?.[served] ?? config.model_prices?.[requested];
  const input = decimalAt(price, "/input");
  const output = decimalAt(price, "/output");
  const count = (name) => u32At(body, `/usageMetadata/${name}`) ?? 0;
  if (!input || !output || count("totalTokenCount") === 0) return undefined;
  const cached = count("cachedContentTokenCount");
  const fresh = Math.max(count("promptTokenCount") - cached, 0) + count("toolUsePromptTokenCount");
  const sum = input
    .times(fresh)
    .plus((decimalAt(price, "/cached_input") ?? input).times(cached))
    .plus(output.times(count("candidatesTokenCount") + count("thoughtsTokenCount")))
    .plus(searchPrice(body, config, served ?? requested));
  return estimated(sum.round());
}

/** Models of the second series bill a grounded prompt, later ones each search. */
function searchPrice(body, config, model) {
  const searches = stringsAt(body, "/candidates/0/groundingMetadata/webSearchQueries").length;
  const isByPrompt = /^(models\/)?gemini-[12]\b/.test(model);
  const each = config.search_price_micro_usd ?? (isByPrompt ? 35_000 : 14_000);
  return (Decimal.parse(each) ?? Decimal.ZERO).times(isByPrompt ? Math.min(searches, 1) : searches);
}
