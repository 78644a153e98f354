/** Which store goes with a test's data directory. */
const urls = new Map<string, string>();

export function keepStoreUrl(dataDir: string, url: string): void {
  urls.set(dataDir, url);
}

/** What the configuration of a gateway on that directory would say. */
export function storeUrl(dataDir: string): string {
  return urls.get(dataDir) ?? 'sqlite';
}
