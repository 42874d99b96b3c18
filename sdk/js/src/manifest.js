// Manifests, with the parts that most plugins have in common.

/**
 * A manifest. `hosts` are `{host, credential, variable, description}`: a host to connect to, the
 * credential that is sent nowhere else, and the environment variable in which operators keep it.
 * `configSchema` is a JSON Schema as an object.
 */
export function manifest(parts) {
  const withKey = parts.hosts.filter((host) => host.credential !== undefined);
  const names = [...new Set(withKey.map((host) => host.credential))];
  const first = (name) => withKey.find((host) => host.credential === name);
  return {
    key: parts.key,
    displayName: parts.displayName,
    version: parts.version,
    description: parts.description ?? "",
    homepage: parts.homepage,
    allowedHosts: parts.hosts.map((host) => host.host),
    credentials: names.map((name) => ({
      name,
      description: first(name).description ?? "",
      hosts: withKey.filter((host) => host.credential === name).map((host) => host.host),
    })),
    configSchema: JSON.stringify(parts.configSchema ?? { type: "object" }),
    surfaces: parts.surfaces,
    extra: [
      ...names
        .filter((name) => first(name).variable !== undefined)
        .map((name) => ["env", `${name}=${first(name).variable}`]),
      ...(parts.extra ?? []),
    ],
  };
}

/** A surface with one fetch per query, one request per second and a minute's deadline. */
export function surface(id, displayName, parts = {}) {
  const { context, ...rest } = parts;
  return {
    id,
    displayName,
    models: [],
    defaultModel: undefined,
    context: { language: false, country: false, city: false, device: false, ...context },
    listedIsVisible: false,
    typicalCostMicroUsd: 0,
    maxFetches: 1,
    requestsPerSecond: 1,
    burst: 1,
    deadlineMs: 60_000,
    ...rest,
  };
}
