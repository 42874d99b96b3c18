// What the plugin is and what it asks for.

import { manifest, surface } from "../../../sdk/js/src/index.js";
import { MAX_REDIRECTS, REDIRECT_HOST } from "./redirects.js";
import { HOST } from "./request.js";
import { schema } from "./schema.js";
import { DEFAULT_MODEL, SURFACE } from "./surface.js";

export function describe() {
  return manifest({
    key: "gemini",
    displayName: "Gemini",
    version: "0.1.0",
    description: "Gemini answers with their sources, through generateContent with Google Search",
    homepage: "https://ai.google.dev/gemini-api/docs/google-search",
    hosts: [
      {
        host: HOST,
        credential: "api-key",
        variable: "GEMINI_API_KEY",
        description: "Key of the Gemini API",
      },
      // Asked where it leads, without a credential.
      { host: REDIRECT_HOST },
    ],
    configSchema: schema,
    surfaces: [
      surface(SURFACE, "Gemini (Google Search)", {
        models: [DEFAULT_MODEL, "gemini-2.5-pro", "gemini-2.5-flash-lite"],
        defaultModel: DEFAULT_MODEL,
        context: { language: true },
        // One grounded prompt, and the tokens.
        typicalCostMicroUsd: 40_000,
        maxFetches: 1 + MAX_REDIRECTS,
        requestsPerSecond: 5,
        burst: 1 + MAX_REDIRECTS,
        deadlineMs: 180_000,
      }),
    ],
  });
}
