/** Where a worker's entry point is: beside the sources, or inside a compiled executable. */

/**
 * In a compiled executable every module has the executable's own URL, and build.ts puts workers beside it under their
 * path below src/; run from source, a module has the URL of its file. https://bun.sh/docs/bundler/executables#worker
 * @param path of the file below src/, named `…-worker.ts` so that build.ts finds it.
 */
export function workerUrl(path: string): string {
  const fromSource = import.meta.url.endsWith('/core/worker-url.ts');
  return new URL(`${fromSource ? '../' : './'}${path}`, import.meta.url).href;
}
