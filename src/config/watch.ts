/** Watches the configuration file: on a change or SIGHUP it is read anew; what is wrong with it changes nothing. */
import { watch } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { type Env, loadConfig } from './load.ts';
import type { Mistake } from './mistakes.ts';
import type { Config } from './schema.ts';

export interface WatchOptions {
  env: Env;
  /** A right configuration, after each change of the file and each SIGHUP. */
  onConfig(config: Config): void;
  /** A wrong one: report it and keep the one in use. */
  onMistakes(mistakes: Mistake[]): void;
  /** Changes that follow each other within this time are one. Default: 100. */
  settleMs?: number;
}

/**
 * Reads `file` again whenever it changes. The folder is watched, not the file: editors write a new file and rename it
 * over the old one, and Kubernetes swaps a link beside it.
 * @returns a function that stops watching.
 */
export function watchConfig(file: string, options: WatchOptions): () => void {
  const path = resolve(file);
  const name = basename(path);
  let timer: ReturnType<typeof setTimeout> | undefined;

  const read = (): void => {
    timer = undefined;
    const { config, mistakes } = loadConfig(path, options.env);
    if (config === undefined) options.onMistakes(mistakes);
    else options.onConfig(config);
  };
  const schedule = (): void => {
    clearTimeout(timer);
    timer = setTimeout(read, options.settleMs ?? 100);
    timer.unref();
  };

  const watcher = watch(dirname(path), (_event, changed) => {
    if (changed === null || changed === name || changed === '..data') schedule();
  });
  watcher.unref();
  process.on('SIGHUP', schedule);
  return () => {
    clearTimeout(timer);
    watcher.close();
    process.off('SIGHUP', schedule);
  };
}
