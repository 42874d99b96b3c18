// Write an answer-engine provider for the AI visibility platform in JavaScript.
//
// A provider is a pure function from events to steps. It opens no socket, reads no clock and never
// sees a credential; the host does all of that. `provider(…)` makes the component's export of one.

export { citations } from "./citations.js";
export { ProviderError, fail, failureOf, kindOfStatus, malformed } from "./failure.js";
export { decimalAt, itemsAt, stringAt, stringsAt, u32At } from "./json.js";
export { manifest, surface } from "./manifest.js";
export { answered, absent, meta, usage } from "./outcome.js";
export { links } from "./markdown.js";
export { Decimal, estimated, reported } from "./money.js";
export { done, fetch, pause, provider, responseOf } from "./provider.js";
export { configOf, country, language } from "./query.js";
export { prefixed, request, secret } from "./request.js";
export { eventStream, header, isSuccess, jsonOf, msUntil, retryAfterMs, textOf } from "./response.js";
export { events } from "./sse.js";
export { link } from "./url.js";
