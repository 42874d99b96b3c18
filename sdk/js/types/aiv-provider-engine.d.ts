/** @module Interface aiv:provider/engine@0.1.0 **/
export function describe(): Manifest;
export function healthCheck(config: string): HttpRequest | undefined;
export function start(query: Query): Step;
export function resume(state: Uint8Array, event: Event): Step;
export type HttpRequest = import('./aiv-provider-types.js').HttpRequest;
export type HttpResponse = import('./aiv-provider-types.js').HttpResponse;
export type Outcome = import('./aiv-provider-types.js').Outcome;
export type Failure = import('./aiv-provider-types.js').Failure;
export type Extra = import('./aiv-provider-types.js').Extra;
export interface CredentialRequest {
  name: string,
  description: string,
  hosts: Array<string>,
}
export interface ContextSupport {
  language: boolean,
  country: boolean,
  city: boolean,
  device: boolean,
}
export interface Surface {
  id: string,
  displayName: string,
  models: Array<string>,
  defaultModel?: string,
  context: ContextSupport,
  listedIsVisible: boolean,
  typicalCostMicroUsd: number,
  maxFetches: number,
  requestsPerSecond: number,
  burst: number,
  deadlineMs: number,
}
export interface Manifest {
  key: string,
  displayName: string,
  version: string,
  description: string,
  homepage?: string,
  allowedHosts: Array<string>,
  credentials: Array<CredentialRequest>,
  configSchema: string,
  surfaces: Array<Surface>,
  extra: Extra,
}
export interface Query {
  id: string,
  prompt: string,
  surface: string,
  model?: string,
  language?: string,
  country?: string,
  location?: string,
  device?: string,
  config: string,
  nowUnix: number,
  seed: number,
  extra: Extra,
}
export interface Fetch {
  state: Uint8Array,
  request: HttpRequest,
}
export interface Pause {
  state: Uint8Array,
  delayMs: number,
}
export type Step = StepFetch | StepPause | StepDone | StepFailed;
export interface StepFetch {
  tag: 'fetch',
  val: Fetch,
}
export interface StepPause {
  tag: 'pause',
  val: Pause,
}
export interface StepDone {
  tag: 'done',
  val: Outcome,
}
export interface StepFailed {
  tag: 'failed',
  val: Failure,
}
/**
 * # Variants
 * 
 * ## `"dns"`
 * 
 * ## `"connect"`
 * 
 * ## `"tls"`
 * 
 * ## `"timeout"`
 * 
 * ## `"reset"`
 * 
 * ## `"too-large"`
 * 
 * ## `"refused-by-policy"`
 */
export type TransportError = 'dns' | 'connect' | 'tls' | 'timeout' | 'reset' | 'too-large' | 'refused-by-policy';
export type Event = EventResponse | EventTransportError | EventResumed;
export interface EventResponse {
  tag: 'response',
  val: HttpResponse,
}
export interface EventTransportError {
  tag: 'transport-error',
  val: TransportError,
}
export interface EventResumed {
  tag: 'resumed',
}
