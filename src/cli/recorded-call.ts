/** Why a call went where it went, from its record. */
import {
  type PlannedRoute,
  type PlannedStrategy,
  type PlannedTarget,
  type RecordedPlan,
  sayScore,
  scoreUnits,
} from '../core/explain.ts';
import { formatUsd } from '../core/money.ts';
import { type RecordedAttempt, readCall, readPlan } from '../store/calls.ts';
import { CommandError, type DataFlags } from './data-dir.ts';
import { withRecords } from './open-store.ts';
import { formatTable } from './table.ts';

/** @throws CommandError when the data directory has no such call. */
export async function showRecordedCall(id: string, flags: DataFlags, json: boolean): Promise<string> {
  return await withRecords(flags, async (db, where) => {
    const attempts = await readCall(db, id);
    if (attempts.length === 0) {
      throw new CommandError(
        `No call ${id} is recorded in ${where}. Its id is the x-request-id of its answer.`,
      );
    }
    const text = await readPlan(db, id);
    const plan = text === undefined ? null : (JSON.parse(text) as RecordedPlan);
    return json ? `${JSON.stringify({ call: id, plan, attempts }, null, 2)}\n` : format(id, plan, attempts);
  });
}

function format(id: string, plan: RecordedPlan | null, attempts: readonly RecordedAttempt[]): string {
  const { key, model, at } = attempts.at(-1)!;
  const title = `${id}: ${model} for ${key}, ended ${new Date(at).toISOString()}\n`;
  const parts = plan === null ? [title] : [title, formatPlan(plan)];
  return [...parts, formatAttempts(attempts)].join('\n');
}

function formatPlan({ route, expected_nano_usd, reserved_nano_usd, limit }: RecordedPlan): string {
  const expected = expected_nano_usd === null ? 'at an unknown price' : `${formatUsd(expected_nano_usd)} usd`;
  const lines = drawRoute(route);
  lines.push('', `expected: ${expected}; held: ${formatUsd(reserved_nano_usd)} usd`);
  if (limit !== undefined) {
    const { owner, name, unit, per, percent } = limit;
    lines.push(
      `fullest limit: ${unit}${per === null ? '' : ` per ${per}`} of ${owner} ${name}, ${percent} % used or held`,
    );
  }
  return `${lines.join('\n')}\n`;
}

function drawRoute(route: PlannedRoute, unit?: string, indent = ''): string[] {
  if (typeof route === 'string') return [indent + route];
  const notes = [
    ...(route.score === undefined ? [] : [`(${sayScore(route.score, unit)})`]),
    ...(route.case === undefined ? [] : [`by condition ${route.case}`]),
    ...('by' in route ? [] : notesOf(route)),
  ];
  const line = [indent + ('by' in route ? route.by : route.to), ...notes].join('  ');
  return 'by' in route ? [line, ...drawChildren(route, `${indent}  `)] : [line];
}

function notesOf({ kept, unwell }: PlannedTarget): string[] {
  return [...(kept ? ['answered before'] : []), ...(unwell ? ['not well'] : [])];
}

function drawChildren({ by, of, more }: PlannedStrategy, indent: string): string[] {
  const drawn = of.flatMap((child) => drawRoute(child, scoreUnits[by], indent));
  return more === undefined ? drawn : [...drawn, `${indent}and ${more} more`];
}

function formatAttempts(attempts: readonly RecordedAttempt[]): string {
  const left = ['', 'target', 'way', 'outcome'].map((title) => ({ title, align: 'left' as const }));
  const right = ['status', 'first byte', 'ms', 'input', 'output', 'usd'].map((title) => ({
    title,
    align: 'right' as const,
  }));
  const price = { title: 'price', align: 'left' as const };
  return formatTable(
    [...left, ...right, price],
    attempts.map((each) => [
      String(each.attempt),
      each.target,
      each.why === '' ? 'named by the client' : each.why,
      each.outcome,
      each.upstream_status === 0 ? '' : String(each.upstream_status),
      each.first_byte_ms === null ? '' : `${each.first_byte_ms} ms`,
      String(each.duration_ms),
      String(each.input),
      `${each.output}${each.estimated ? ' (est.)' : ''}`,
      formatCost(each),
      `${each.price_source} ${each.price_version}`.trim(),
    ]),
  );
}

function formatCost({ nano_usd, sell_nano_usd }: RecordedAttempt): string {
  const cost = nano_usd === null ? 'unpriced' : formatUsd(nano_usd);
  return sell_nano_usd === null ? cost : `${cost} (charged ${formatUsd(sell_nano_usd)})`;
}
