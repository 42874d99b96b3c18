// What the host asks, in the forms that vendors want it.

import { fail } from "./failure.js";

/** The operator's settings. No settings are an empty object. */
export function configOf(query) {
  try {
    const config = JSON.parse(query.config.trim() || "{}");
    if (config !== null && typeof config === "object" && !Array.isArray(config)) return config;
  } catch (error) {
    fail("invalid-request", `configuration cannot be used: ${error.message}`);
  }
  fail("invalid-request", "configuration cannot be used: it is not an object");
}

/** The primary subtag of the language, lower-case: `pt` for `pt-BR`. */
export function language(query) {
  return query.language?.trim().split(/[-_]/)[0].toLowerCase() || undefined;
}

/** The country, upper-case. */
export function country(query) {
  return query.country?.trim().toUpperCase() || undefined;
}
