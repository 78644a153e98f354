/** Hot reload: a right file is handed on, a wrong one is reported, whatever way the editor writes it. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Mistake } from '../../src/config/mistakes.ts';
import type { Config } from '../../src/config/schema.ts';
import { watchConfig } from '../../src/config/watch.ts';

let folder: string;
let file: string;
let stop: () => void;
let events: (Config | Mistake[])[];
let waiting: (() => void) | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-watch-'));
  file = join(folder, 'sluice.yaml');
  writeFileSync(file, 'drain: 1s');
  events = [];
  const hear = (event: Config | Mistake[]) => {
    events.push(event);
    waiting?.();
  };
  stop = watchConfig(file, { env: {}, onConfig: hear, onMistakes: hear, settleMs: 20 });
});

afterEach(() => {
  stop();
  rmSync(folder, { recursive: true });
});

async function nextEvent(): Promise<Config | Mistake[]> {
  if (events.length === 0) await new Promise<void>((resolve) => (waiting = resolve));
  return events.shift()!;
}

test('a file written in place', async () => {
  writeFileSync(file, 'drain: 2s');
  expect(await nextEvent()).toMatchObject({ drain: 2000 });
});

test('a new file renamed over the old one, twice', async () => {
  for (const seconds of [3, 4]) {
    writeFileSync(`${file}.new`, `drain: ${seconds}s`);
    renameSync(`${file}.new`, file);
    expect(await nextEvent()).toMatchObject({ drain: seconds * 1000 });
  }
});

test('a wrong file is told with its mistakes, and a right one after it is taken', async () => {
  writeFileSync(file, 'drian: 2s');
  expect(await nextEvent()).toMatchObject([{ line: 1, column: 1, hint: 'did you mean "drain"?' }]);
  writeFileSync(file, 'drain: 5s');
  expect(await nextEvent()).toMatchObject({ drain: 5000 });
});

test('SIGHUP reads it again, changed or not', async () => {
  process.kill(process.pid, 'SIGHUP');
  expect(await nextEvent()).toMatchObject({ drain: 1000 });
});

test('changes that follow each other at once are one', async () => {
  for (let i = 1; i <= 5; i++) writeFileSync(file, `drain: ${i}s`);
  expect(await nextEvent()).toMatchObject({ drain: 5000 });
  process.kill(process.pid, 'SIGHUP');
  await nextEvent();
  expect(events).toEqual([]);
});
