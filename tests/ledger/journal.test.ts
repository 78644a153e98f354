/** The journal: one line per event, written before the call returns, whole or not at all. */
import { describe, expect, test } from 'bun:test';
import {
  appendFileSync,
  closeSync,
  openSync,
  readdirSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { withVersion, writePrice } from '../../src/core/money.ts';
import type { Dispatched } from '../../src/core/record.ts';
import { LedgerError } from '../../src/ledger/data-dir.ts';
import { openEntries } from '../../src/ledger/entries.ts';
import { openJournal } from '../../src/ledger/journal.ts';
import {
  type Entry,
  readDispatched,
  readEntries,
  writeDispatched,
  writeNames,
  writePlanned,
  writePriceLine,
  writeSettled,
} from '../../src/ledger/lines.ts';
import { journalStart, listSegments, openReader, segmentPath } from '../../src/ledger/segments.ts';
import { dispatch, segmentTexts, settle, tempDir } from './attempts.ts';

/** All entries of a journal, in order, its names left out. */
function readAll(dataDir: string): Entry[] {
  const reader = openEntries(dataDir);
  const entries: Entry[] = [];
  for (let part = reader.read(journalStart); part !== undefined; part = reader.read(part.next))
    entries.push(...part.entries);
  reader.close();
  return entries.filter((entry) => entry?.kind !== 'n');
}

/** The calls of a journal, in order; undefined where a line could not be read. */
function callsIn(dataDir: string): (string | undefined)[] {
  return readAll(dataDir).map((entry) => {
    if (entry?.kind === 'd') return readDispatched(entry).call;
    return entry?.kind === 's' ? entry.attempt.settled.call : undefined;
  });
}

/** The line of names that stand first in a segment, and a dispatched line that refers to them. */
const begin = (of: Dispatched): string => writeNames(0, of.names) + writeDispatched(of, 0);

describe('lines', () => {
  const begun = dispatch('c1', {
    attempt: 3,
    stream: true,
    tags: 'a=b,c=d',
    session: 's "quoted" \\ \n',
    endUser: 'Zoë 🚰',
    reservedNanoUsd: 42,
  });
  const ended = settle(
    begun,
    { final: false, outcome: 'upstream_timeout', estimated: true, lost: ['tools[0].strict', 'seed'] },
    {
      input: 7,
      cacheRead: 1,
      cacheWrite5m: 2,
      cacheWrite1h: 3,
      output: 11,
      reasoning: 5,
      audioInput: 1,
      audioOutput: 4,
    },
  );

  test('a dispatched line reads back as it was', () => {
    const entry = readEntries(begin(begun).trimEnd(), []).at(-1);
    expect(entry?.kind === 'd' && readDispatched(entry)).toEqual(begun);
  });

  const readBack = (line: string): Entry => readEntries(line, [begun.names])[0];

  test('a settled line reads back as it was, with what its dispatch says of the call', () => {
    const entry = readBack(writeSettled(begun, ended, 0).trimEnd());
    const { at, reservedNanoUsd: _, ...rest } = begun;
    expect(entry).toMatchObject({ kind: 's', attempt: { dispatch: rest, settled: ended } });
    expect(at).toBeNumber();
  });

  test.each([
    { units: { image: 2 } },
    { units: { millisecond: 1500, search: 1 }, input: 3 },
    { units: { character: 12 }, imageInput: 2, imageOutput: 5, input: 9, output: 5 },
    { billed: { input: 10, output: 0 }, input: 500 },
    { cacheRead: 9, cacheReadAudio: 3, cacheReadImage: 2, input: 9 },
    { webSearches: 4, tier: 'flex "]', input: 9 },
    { units: { image: 1, imageKind: 'hd/1024x1024' } },
  ])('what is not told in plain tokens reads back as it was: %j', (more) => {
    const ended = settle(begun, {}, more);
    const line = writeSettled(begun, ended, 0).trimEnd();
    expect(readBack(line)).toMatchObject({ attempt: { settled: ended } });
    for (let end = 0; end < line.length; end++) expect(readBack(line.slice(0, end))).toBeUndefined();
  });

  test.each([{ sellNanoUsd: 12 }, { sellNanoUsd: 0 }, { nanoUsd: undefined, sellNanoUsd: 7 }])(
    'what the organisation is charged reads back where it is not the cost: %j',
    (more) => {
      const sold = settle(begun, more, { input: 3 });
      const line = writeSettled(begun, sold, 0).trimEnd();
      expect(readBack(line)).toMatchObject({ attempt: { settled: sold } });
      for (let end = 0; end < line.length; end++) expect(readBack(line.slice(0, end))).toBeUndefined();
    },
  );

  test('what limits hold reads back where it is not the cost', () => {
    const held = { ...begun, reservedSellNanoUsd: 50 };
    const entry = readEntries(begin(held).trimEnd(), []).at(-1);
    expect(entry?.kind === 'd' && readDispatched(entry)).toEqual(held);
  });

  test('a price reads back as it was, and its version with the names that have it', () => {
    const { tiers, perCall, ...rest } = { tiers: [], perCall: 5, source: 'test' };
    const rates = {
      input: 1,
      cacheRead: 2,
      cacheWrite5m: 3,
      cacheWrite1h: 4,
      output: 5,
      audioInput: 6,
      audioOutput: 7,
    };
    const price = withVersion({ rates, tiers, perCall, ...rest });
    const line = writePriceLine(price).trimEnd();
    expect(readBack(line)).toEqual({
      kind: 'v',
      price: { version: price.version, source: 'test', json: writePrice(price) },
    });
    for (let end = 0; end < line.length; end++) expect(readBack(line.slice(0, end))).toBeUndefined();
    const named = dispatch('c3', { priceVersion: price.version });
    const entry = readEntries(begin(named).trimEnd(), []).at(-1);
    expect(entry?.kind === 'd' && readDispatched(entry)).toEqual(named);
  });

  test('lines of older versions are read: without a price, without what came later', () => {
    const lines = [
      '["n",0,"ci","web","shop","fast","acme/one","acme","","test","","cheapest 1",0]',
      '["d","c1",1,0,0,"","",5,42]',
      '["s","c1",1,0,0,"","",9,1,"ok",200,200,120,1000,0,7,[],10,0,0,0,5,0,0,0]',
    ];
    const [, begun, ended] = readEntries(lines.join('\n'), []);
    expect(begun?.kind === 'd' && readDispatched(begun)).toMatchObject({
      reservedNanoUsd: 42,
      names: { why: 'cheapest 1' },
    });
    expect(ended?.kind === 's' && ended.attempt.settled).toMatchObject({
      nanoUsd: 7,
      usage: { input: 10, output: 5 },
    });
    expect(ended?.kind === 's' && ended.attempt.settled.sellNanoUsd).toBeUndefined();
  });

  test('names tell the operation where it is not chat', () => {
    const embedded = dispatch('c2', { operation: 'embeddings' });
    const entry = readEntries(begin(embedded).trimEnd(), []).at(-1);
    expect(entry?.kind === 'd' && readDispatched(entry)).toEqual(embedded);
  });

  test('what is unknown stays unknown', () => {
    const unknown = settle(begun, { nanoUsd: undefined, firstByteMs: undefined });
    expect(readBack(writeSettled(begun, unknown, 0).trimEnd())).toMatchObject({
      attempt: { settled: unknown },
    });
  });

  test('a line cut anywhere is no line', () => {
    for (const line of [writeSettled(begun, ended, 0).trimEnd(), writeNames(0, begun.names).trimEnd()]) {
      for (let end = 0; end < line.length; end++) expect(readBack(line.slice(0, end))).toBeUndefined();
    }
  });

  const planned = { call: 'c1', at: 5, text: '{"route":{"by":"fallback","of":["a/\\"b\\"","ü/🚰"]}}' };

  test('a plan reads back as it was, and cut anywhere is no line', () => {
    const line = writePlanned(planned).trimEnd();
    expect(readBack(line)).toEqual({ kind: 'p', plan: planned });
    for (let end = 0; end < line.length; end++) expect(readBack(line.slice(0, end))).toBeUndefined();
  });

  test('a line of a kind that is not known harms no other', () => {
    const lines = [
      '["z","c1",5,"something",0]',
      writePlanned(planned).trimEnd(),
      writeSettled(begun, ended, 0).trimEnd(),
    ];
    const entries = readEntries(lines.join('\n'), [begun.names]);
    expect(entries.map((entry) => entry?.kind)).toEqual([undefined, 'p', 's']);
  });

  test('an attempt whose names were damaged is read all the same', () => {
    const entry = readEntries(writeSettled(begun, ended, 7).trimEnd(), [])[0];
    expect(entry).toMatchObject({ attempt: { dispatch: { names: { key: '' } }, settled: ended } });
  });
});

describe('journal', () => {
  test('a line is in the file when the call returns', () => {
    const dir = tempDir();
    const journal = openJournal(dir);
    const begun = dispatch('c1');
    journal.dispatched(begun);
    expect(segmentTexts(dir)).toEqual([begin(begun)]);
    journal.settled(begun, settle(begun));
    expect(segmentTexts(dir)).toEqual([begin(begun) + writeSettled(begun, settle(begun), 0)]);
    journal.close();
  });

  test('plans go into the segment where there is room for them', () => {
    const dir = tempDir();
    const journal = openJournal(dir, { segment: { segmentBytes: 600 } });
    const plans = Array.from({ length: 20 }, (_, i) => ({ call: `c${i}`, at: i, text: `{"i":${i}}` }));
    for (const plan of plans) {
      journal.planned(plan);
      journal.dispatched(dispatch(plan.call));
    }
    journal.close();
    const entries = readAll(dir);
    expect(entries.flatMap((entry) => (entry?.kind === 'p' ? [entry.plan] : []))).toEqual(plans);
    expect(entries.map((entry) => entry?.kind)).toEqual(plans.flatMap(() => ['p', 'd'] as const));
    expect(() => journal.planned(plans[0]!)).toThrow('is closed');
  });

  test('a line longer than any buffer is written whole', () => {
    const dir = tempDir();
    const journal = openJournal(dir);
    const begun = dispatch('c1', { session: 'é'.repeat(400_000) });
    journal.dispatched(begun);
    journal.close();
    const [entry] = readAll(dir);
    expect(entry?.kind === 'd' && readDispatched(entry)).toEqual(begun);
  });

  test('appending goes on after a torn last line, which harms no other', () => {
    const dir = tempDir();
    const first = openJournal(dir);
    first.dispatched(dispatch('c1'));
    first.close();
    const segment = listSegments(dir)[0]!;
    appendFileSync(segmentPath(dir, segment), '["s","c1",1,20');

    const second = openJournal(dir);
    second.dispatched(dispatch('c2'));
    second.close();
    expect(callsIn(dir)).toEqual(['c1', undefined, 'c2']);
  });

  test('segments follow each other when full, and are read in order', () => {
    const dir = tempDir();
    const journal = openJournal(dir, { segment: { segmentBytes: 600 } });
    const calls = Array.from({ length: 20 }, (_, i) => `c${i}`);
    for (const call of calls) journal.dispatched(dispatch(call));
    journal.close();
    expect(listSegments(dir).length).toBeGreaterThan(3);
    expect(callsIn(dir)).toEqual(calls);
  });

  test('a reader sees what is appended later, and never part of a line', () => {
    const dir = tempDir();
    const journal = openJournal(dir);
    journal.dispatched(dispatch('c1'));
    const reader = openReader(dir);
    const first = reader.read(journalStart)!;
    expect(reader.read(first.next)).toBeUndefined();
    const line = Buffer.from(writeDispatched(dispatch('c2'), 0));
    const fd = openSync(segmentPath(dir, first.next.segment), 'r+');
    // As memory becomes visible in pieces, in any order: behind a zero nothing counts.
    writeSync(fd, line, 20, line.length - 20, first.next.offset + 20);
    expect(reader.read(first.next)).toBeUndefined();
    writeSync(fd, line, 0, 20, first.next.offset);
    expect(reader.read(first.next)?.text).toBe(line.toString().trimEnd());
    closeSync(fd);
    reader.close();
    journal.close();
  });

  test('a segment is no longer than its text once it is closed, and another process begins its own', () => {
    const dir = tempDir();
    for (const call of ['c1', 'c2']) {
      const journal = openJournal(dir);
      journal.dispatched(dispatch(call));
      journal.close();
    }
    const texts = [begin(dispatch('c1')), begin(dispatch('c2'))];
    expect(listSegments(dir).map((segment) => statSync(segmentPath(dir, segment)).size)).toEqual(
      texts.map((text) => text.length),
    );
    expect(segmentTexts(dir)).toEqual(texts);
  });

  test('names are written once a segment, and looked up where reading goes on in the middle of it', () => {
    const dir = tempDir();
    const journal = openJournal(dir, { segment: { segmentBytes: 900 } });
    const { names } = dispatch('c');
    for (let i = 0; i < 20; i++) journal.dispatched({ ...dispatch(`c${i}`), names });
    journal.close();
    const texts = segmentTexts(dir);
    expect(texts.length).toBeGreaterThan(1);
    for (const text of texts) expect(text.match(/\["n",/g)).toHaveLength(1);
    const position = { segment: listSegments(dir)[0]!, offset: begin({ ...dispatch('c0'), names }).length };
    const reader = openEntries(dir);
    const [entry] = reader.read(position)!.entries;
    expect(entry?.kind === 'd' && readDispatched(entry)).toMatchObject({ call: 'c1', names });
    reader.close();
  });

  test('pages a power cut left empty cost the lines in them, and no other', () => {
    const dir = tempDir();
    const first = openJournal(dir);
    for (let i = 0; i < 200; i++) first.dispatched(dispatch(`a${i}`));
    first.close();
    const fd = openSync(segmentPath(dir, listSegments(dir)[0]!), 'r+');
    writeSync(fd, new Uint8Array(4096), 0, 4096, 4096);
    closeSync(fd);
    const second = openJournal(dir);
    for (let i = 0; i < 10; i++) second.dispatched(dispatch(`b${i}`));
    const calls = callsIn(dir);
    expect(calls).toContain('a0');
    expect(calls).toContain('a199');
    expect(calls.filter((call) => call?.startsWith('b'))).toHaveLength(10);
    second.close();
  });

  test('goes on behind the text of a process that was killed', async () => {
    const dir = tempDir();
    const script = `
      import { openJournal } from ${JSON.stringify(join(import.meta.dir, '../../src/ledger/journal.ts'))};
      openJournal(${JSON.stringify(dir)}).dispatched(${JSON.stringify(dispatch('c1'))});
      process.kill(process.pid, 'SIGKILL');`;
    await Bun.spawn([process.execPath, '-e', script]).exited;
    const journal = openJournal(dir);
    journal.dispatched(dispatch('c2'));
    expect(callsIn(dir)).toEqual(['c1', 'c2']);
    journal.close();
  });
});

describe('a full disk', () => {
  /** Takes `room` bytes, then says ENOSPC, as write(2) does: first a short write, then the error. */
  function fillingDisk() {
    const disk = { room: Number.POSITIVE_INFINITY };
    const write = (fd: number, bytes: Uint8Array, offset: number, length: number, position: number) => {
      if (disk.room <= 0)
        throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
      const taken = writeSync(fd, bytes, offset, Math.min(length, disk.room), position);
      disk.room -= taken;
      return taken;
    };
    return { disk, segment: { write, roomBytes: 1 } };
  }

  test('throws in one line that says so, and leaves no part of the line', () => {
    const dir = tempDir();
    const { disk, segment } = fillingDisk();
    const journal = openJournal(dir, { segment });
    journal.dispatched(dispatch('c1'));
    disk.room = 30;
    expect(() => journal.dispatched(dispatch('c2'))).toThrow(LedgerError);
    expect(() => journal.dispatched(dispatch('c2'))).toThrow(
      /^Cannot write the journal in .*: the disk is full\. [^\n]*$/,
    );
    expect(segmentTexts(dir)).toEqual([begin(dispatch('c1'))]);
    disk.room = Number.POSITIVE_INFINITY;
    journal.dispatched(dispatch('c3'));
    expect(callsIn(dir)).toEqual(['c1', 'c3']);
    journal.close();
  });

  test('an end that could not be written is written when there is space again, before anything else', () => {
    const dir = tempDir();
    const { disk, segment } = fillingDisk();
    const journal = openJournal(dir, { segment });
    const [one, two] = [dispatch('c1'), dispatch('c2')];
    journal.dispatched(one);
    journal.dispatched(two);
    disk.room = 10;
    expect(() => journal.settled(one, settle(one))).toThrow('the disk is full');
    expect(() => journal.settled(two, settle(two))).toThrow('the disk is full');
    disk.room = Number.POSITIVE_INFINITY;
    journal.dispatched(dispatch('c3'));
    expect(callsIn(dir)).toEqual(['c1', 'c2', 'c1', 'c2', 'c3']);
    journal.close();
  });

  test('short writes alone are carried on', () => {
    const dir = tempDir();
    const journal = openJournal(dir, {
      segment: {
        roomBytes: 1,
        write: (fd, bytes, offset, length, at) => writeSync(fd, bytes, offset, Math.min(7, length), at),
      },
    });
    journal.dispatched(dispatch('c1'));
    journal.close();
    expect(segmentTexts(dir)).toEqual([begin(dispatch('c1'))]);
  });
});

describe('the data directory', () => {
  test('belongs to one process at a time, and the other is named', async () => {
    const dir = tempDir();
    const script = `
      import { openJournal } from ${JSON.stringify(join(import.meta.dir, '../../src/ledger/journal.ts'))};
      openJournal(${JSON.stringify(dir)});
      setTimeout(() => Bun.gc(true), 5);
      setTimeout(() => console.log('collected'), 20);
      setTimeout(() => {}, 20_000);`;
    const other = Bun.spawn([process.execPath, '-e', script], { stdout: 'pipe' });
    try {
      await other.stdout.getReader().read();
      expect(() => openJournal(dir)).toThrow(`The data directory ${dir} is in use by process ${other.pid}.`);
    } finally {
      other.kill('SIGKILL');
      await other.exited;
    }
    // A lock does not outlive its process.
    openJournal(dir).close();
  });

  test('is made where it is missing', () => {
    const dir = join(tempDir(), 'a', 'b');
    openJournal(dir).close();
    expect(readdirSync(dir)).toContain('journal');
  });

  test('that cannot be written is refused in one line', () => {
    const file = join(tempDir(), 'file');
    writeFileSync(file, '');
    expect(() => openJournal(join(file, 'data'))).toThrow(
      /^Cannot write to the data directory [^\n]*--data DIR[^\n]*$/,
    );
  });
});
