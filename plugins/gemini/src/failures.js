// Google's errors: a status by name, and details that say more.

import {
  fail,
  header,
  itemsAt,
  jsonOf,
  kindOfStatus,
  retryAfterMs,
  stringAt,
  textOf,
} from "../../../sdk/js/src/index.js";

const OF_REASON = {
  API_KEY_INVALID: "auth",
  API_KEY_SERVICE_BLOCKED: "auth",
  ACCESS_TOKEN_EXPIRED: "auth",
  SERVICE_DISABLED: "not-entitled",
  BILLING_DISABLED: "not-entitled",
};
const OF_STATUS = {
  UNAUTHENTICATED: "auth",
  PERMISSION_DENIED: "auth",
  // The country or the plan of the account, not the query.
  FAILED_PRECONDITION: "not-entitled",
  INVALID_ARGUMENT: "invalid-request",
  NOT_FOUND: "invalid-request",
  RESOURCE_EXHAUSTED: "rate-limited",
  DEADLINE_EXCEEDED: "timeout",
  INTERNAL: "upstream-unavailable",
  UNAVAILABLE: "upstream-unavailable",
};

/** Ends the query with the failure that a refused request tells of. */
export function refused(response) {
  const isJson = (textOf(response) ?? "").trimStart().startsWith("{");
  const error = isJson ? jsonOf(response).error : undefined;
  const details = itemsAt(error, "/details");
  const reason = details.map((detail) => stringAt(detail, "/reason")).find(Boolean);
  const status = stringAt(error, "/status");
  let kind = OF_REASON[reason] ?? OF_STATUS[status] ?? kindOfStatus(response.status);
  const quotas = details.flatMap((detail) => itemsAt(detail, "/violations"));
  // Nothing comes back before the day is over.
  const isDaily = quotas.some((quota) => (stringAt(quota, "/quotaId") ?? "").includes("PerDay"));
  if (kind === "rate-limited" && isDaily) kind = "quota-exhausted";
  fail(kind, stringAt(error, "/message") ?? `Gemini answered with status ${response.status}`, {
    response,
    code: reason ?? status,
    retryAfterMs: header(response, "retry-after") ? retryAfterMs(response) : delay(details),
  });
}

/** The delay of the details, such as `36s` or `0.5s`. */
function delay(details) {
  const text = details.map((detail) => stringAt(detail, "/retryDelay")).find(Boolean);
  const found = /^(\d{1,7}(?:\.\d+)?)s$/.exec(text ?? "");
  return found ? Math.round(Number(found[1]) * 1000) : undefined;
}
