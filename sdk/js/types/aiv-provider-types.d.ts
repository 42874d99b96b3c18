/** @module Interface aiv:provider/types@0.1.0 **/
/**
 * # Variants
 * 
 * ## `"get"`
 * 
 * ## `"post"`
 * 
 * ## `"put"`
 * 
 * ## `"patch"`
 * 
 * ## `"delete"`
 * 
 * ## `"head"`
 */
export type HttpMethod = 'get' | 'post' | 'put' | 'patch' | 'delete' | 'head';
export type Value = ValueText | ValueSecret | ValuePrefixedSecret;
export interface ValueText {
  tag: 'text',
  val: string,
}
export interface ValueSecret {
  tag: 'secret',
  val: string,
}
export interface ValuePrefixedSecret {
  tag: 'prefixed-secret',
  val: [string, string],
}
export type Body = BodyText | BodyBinary;
export interface BodyText {
  tag: 'text',
  val: string,
}
export interface BodyBinary {
  tag: 'binary',
  val: Uint8Array,
}
export interface HttpRequest {
  method: HttpMethod,
  url: string,
  query: Array<[string, Value]>,
  headers: Array<[string, Value]>,
  body?: Body,
  timeoutMs?: number,
}
export interface HttpResponse {
  status: number,
  headers: Array<[string, string]>,
  body: Body,
  elapsedMs: number,
  receivedAt: number,
}
/**
 * # Variants
 * 
 * ## `"cited"`
 * 
 * ## `"listed"`
 * 
 * ## `"inline-link"`
 */
export type CitationKind = 'cited' | 'listed' | 'inline-link';
export interface Citation {
  position: number,
  url: string,
  title?: string,
  snippet?: string,
  published?: string,
  kind: CitationKind,
  markers: Array<string>,
}
/**
 * # Variants
 * 
 * ## `"stop"`
 * 
 * ## `"length"`
 * 
 * ## `"content-filter"`
 * 
 * ## `"other"`
 * 
 * ## `"unspecified"`
 */
export type FinishReason = 'stop' | 'length' | 'content-filter' | 'other' | 'unspecified';
/**
 * # Variants
 * 
 * ## `"searched"`
 * 
 * ## `"not-searched"`
 * 
 * ## `"unknown"`
 */
export type Retrieval = 'searched' | 'not-searched' | 'unknown';
export interface Usage {
  inputTokens?: number,
  outputTokens?: number,
  cachedInputTokens?: number,
  reasoningTokens?: number,
  searches?: number,
}
/**
 * # Variants
 * 
 * ## `"reported"`
 * 
 * ## `"computed"`
 * 
 * ## `"estimated"`
 */
export type CostBasis = 'reported' | 'computed' | 'estimated';
export interface Cost {
  microUsd: number,
  basis: CostBasis,
}
export type Extra = Array<[string, string]>;
export interface Meta {
  surface: string,
  requestedModel?: string,
  servedModel?: string,
  requestId?: string,
  finish: FinishReason,
  retrieval: Retrieval,
  queries: Array<string>,
  usage?: Usage,
  cost?: Cost,
  locationUsed?: string,
  warnings: Array<string>,
  extra: Extra,
}
export interface Answer {
  text: string,
  citations: Array<Citation>,
  relatedQuestions: Array<string>,
  meta: Meta,
}
/**
 * # Variants
 * 
 * ## `"not-triggered"`
 * 
 * ## `"declined"`
 * 
 * ## `"no-results"`
 * 
 * ## `"empty"`
 * 
 * ## `"truncated"`
 */
export type Absence = 'not-triggered' | 'declined' | 'no-results' | 'empty' | 'truncated';
export interface NoAnswer {
  reason: Absence,
  meta: Meta,
}
export type Outcome = OutcomeAnswered | OutcomeAbsent;
export interface OutcomeAnswered {
  tag: 'answered',
  val: Answer,
}
export interface OutcomeAbsent {
  tag: 'absent',
  val: NoAnswer,
}
/**
 * # Variants
 * 
 * ## `"invalid-request"`
 * 
 * ## `"auth"`
 * 
 * ## `"not-entitled"`
 * 
 * ## `"quota-exhausted"`
 * 
 * ## `"rate-limited"`
 * 
 * ## `"content-blocked"`
 * 
 * ## `"upstream-unavailable"`
 * 
 * ## `"timeout"`
 * 
 * ## `"malformed-response"`
 */
export type ErrorKind = 'invalid-request' | 'auth' | 'not-entitled' | 'quota-exhausted' | 'rate-limited' | 'content-blocked' | 'upstream-unavailable' | 'timeout' | 'malformed-response';
export interface Failure {
  kind: ErrorKind,
  message: string,
  httpStatus?: number,
  providerCode?: string,
  retryAfterMs?: number,
  spent?: Cost,
}
