/** `sluice usage`: what was used and spent. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import {
  queryUsage,
  totalUsage,
  type UsageDimension,
  type UsageRow,
  type UsageSums,
  usageDimensions,
} from '../store/usage.ts';
import { addDataOptions, type DataFlags, runCommand } from './data-dir.ts';
import { readMoment } from './moment.ts';
import { withRecords } from './open-store.ts';
import { alignPoints, formatCsv, formatTable } from './table.ts';

interface Flags extends DataFlags {
  by: UsageDimension;
  since?: number;
  until?: number;
  format: 'table' | 'json' | 'csv';
}

const counts = [
  'calls',
  'attempts',
  'unpriced',
  'estimated',
  'input_tokens',
  'cached_tokens',
  'output_tokens',
] as const;

export function addUsageCommand(program: Command): void {
  const command = program
    .command('usage')
    .description('show what was used and spent, also while the gateway runs')
    .addOption(new Option('--by <what>', 'one row per').choices(usageDimensions).default('model'))
    .option('--since <when>', 'from then on: an ISO date (UTC), or 7d, 24h, 90m ago', readWhen)
    .option('--until <when>', 'up to then, that moment not included', readWhen)
    .addOption(
      new Option('--format <format>', 'how to print it').choices(['table', 'json', 'csv']).default('table'),
    )
    .addHelpText(
      'after',
      '\nSums are kept per hour: the hours in which --since and --until lie are counted whole. By tag, a call counts' +
        '\nonce for each of its tags. cached_tokens are those of input_tokens that came from a prompt cache.',
    );
  addDataOptions(command).action((flags: Flags) => runCommand(() => showUsage(flags)));
}

function readWhen(text: string): number {
  const moment = readMoment(text, Date.now());
  if (moment === undefined)
    throw new InvalidArgumentError('Give an ISO date such as 2030-01-31, or 7d, 24h, 90m.');
  return moment;
}

async function showUsage(flags: Flags): Promise<string> {
  return await withRecords(flags, async (db) =>
    formatUsage(flags.by, await queryUsage(db, flags), flags.format),
  );
}

/** The rows as a table with totals and remarks, a JSON array, or CSV with a title line. */
export function formatUsage(by: UsageDimension, rows: UsageRow[], format: Flags['format']): string {
  if (format === 'json') return `${JSON.stringify(rows, null, 2)}\n`;
  if (format === 'csv') {
    const cells = rows.map((row) => [
      row[by] ?? '',
      ...counts.map((name) => String(row[name])),
      row.usd,
      row.sell_usd,
    ]);
    return formatCsv([by, ...counts, 'usd', 'sell_usd'], cells);
  }
  if (rows.length === 0) return 'No calls in this period.\n';
  // By tag a call may stand in several rows: their sum would be no sum of calls.
  const total = by === 'tag' ? undefined : totalUsage(rows);
  const all = total === undefined ? rows : [...rows, total];
  const usd = alignPoints(all.map((row) => row.usd));
  const sold = all.some((row) => row.sell_usd !== row.usd) ? alignPoints(all.map((row) => row.sell_usd)) : [];
  const cells = (label: string, sums: UsageSums, i: number) => [
    label,
    ...counts.map((name) => sums[name].toLocaleString('en-US')),
    usd[i]!,
    ...sold.slice(i, i + 1),
  ];
  return (
    formatTable(
      [by, ...counts, 'usd', ...(sold.length > 0 ? ['sell_usd'] : [])].map((title, i) => ({
        title: title.replace('_', ' '),
        align: i === 0 ? 'left' : 'right',
      })),
      rows.map((row, i) => cells(row[by] || '(none)', row, i)),
      total === undefined ? undefined : cells('total', total, rows.length),
    ) + remarks(by, rows)
  );
}

function remarks(by: UsageDimension, rows: UsageRow[]): string {
  const lines: string[] = [];
  if (rows.some((row) => row.unpriced > 0)) {
    const where = by === 'target' ? '' : ' (`--by target` shows which)';
    lines.push(
      `unpriced: tokens of models without a known price${where}; they are missing in usd. Add one to the configuration:`,
      '  prices: { provider/model: { input: 0.2, output: 0.8 } }   # USD per million tokens',
    );
  }
  if (rows.some((row) => row.estimated > 0)) {
    lines.push(
      'estimated: the provider did not report tokens, so what passed was counted; or the gateway was killed in between, so what was reserved is charged.',
    );
  }
  return lines.length === 0 ? '' : `\n${lines.join('\n')}\n`;
}
