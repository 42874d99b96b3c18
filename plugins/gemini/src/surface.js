/** The one surface. */
export const SURFACE = "gemini-generate";

/** The model for queries and settings that name none. */
export const DEFAULT_MODEL = "gemini-2.5-flash";

/** The model to ask for: the query's, else the operator's, else the default. */
export function modelOf(query, config) {
  return query.model?.trim() || config.model?.trim() || DEFAULT_MODEL;
}
