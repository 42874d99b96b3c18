// Reaching into JSON whose shape nobody guarantees: a wrong type reads as absent. Paths are JSON
// pointers, such as `/usage/cost/total_cost`.

import { Decimal } from "./money.js";

/** The value at `path`. */
export function at(json, path) {
  let value = json;
  for (const part of path.split("/").slice(1)) {
    if (value === null || typeof value !== "object" || !Object.hasOwn(value, part)) return undefined;
    value = value[part];
  }
  return value;
}

/** The string at `path`, unless it is empty. */
export function stringAt(json, path) {
  const value = at(json, path);
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** The elements of the array at `path`; none when there is no array. */
export function itemsAt(json, path) {
  const value = at(json, path);
  return Array.isArray(value) ? value : [];
}

/** The strings in the array at `path`, without the blank ones. */
export function stringsAt(json, path) {
  return itemsAt(json, path).filter((text) => typeof text === "string" && text.trim() !== "");
}

/** The non-negative decimal number at `path`, also when it is written as a string. */
export function decimalAt(json, path) {
  const value = at(json, path);
  return typeof value === "number" || typeof value === "string" ? Decimal.parse(value) : undefined;
}

/** The non-negative whole number at `path`, also when it is written as a string or as `3.0`. */
export function u32At(json, path) {
  return decimalAt(json, path)?.toWhole();
}
