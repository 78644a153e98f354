/** `sluice reprice`: what calls cost by the prices of today, where none was known when they were made. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type Offer, offerOf } from '../config/price-of.ts';
import { sellPpmOf } from '../config/pricing-schema.ts';
import type { Config } from '../config/schema.ts';
import { organisationSchema } from '../config/tenant-schema.ts';
import { chargeKnown, chargeShare, type NanoUsd, priceOfMany, sellPrice } from '../core/money.ts';
import type { Names, Settled } from '../core/record.ts';
import type { Store } from '../store/open.ts';
import { type Charged, type Repriced, reprice } from '../store/reprice.ts';
import { listTenantsOf } from '../store/tenants.ts';
import { addDataOptions, type DataFlags, runCommand } from './data-dir.ts';
import { readMoment } from './moment.ts';
import { withRecords } from './open-store.ts';
import { readPricedConfig } from './priced-config.ts';
import { alignPoints, formatTable } from './table.ts';

interface Flags extends DataFlags {
  since?: number;
  until?: number;
  model?: string;
  target?: string;
  all: boolean;
  dryRun: boolean;
  format: 'table' | 'json';
}

export function addRepriceCommand(program: Command): void {
  const command = program
    .command('reprice')
    .description('charge calls that had no price by the prices of today, also while the gateway runs')
    .option('--since <when>', 'calls from then on: an ISO date (UTC), or 7d, 24h, 90m ago', readWhen)
    .option('--until <when>', 'calls up to then, that moment not included', readWhen)
    .option('--model <pattern>', 'calls of this model, as clients name it; a trailing * matches a prefix')
    .option('--target <pattern>', 'the same of provider/model')
    .option('--all', 'also calls that have a price: by the one of today', false)
    .option('--dry-run', 'show what would change, and change nothing', false)
    .addOption(new Option('--format <format>', 'how to print it').choices(['table', 'json']).default('table'))
    .addHelpText(
      'after',
      '\nPrices are those of the configuration, then those of the price list at the time of the call. Sums, and what' +
        '\norganisations are charged, follow; limits of a gateway that runs do not. What changed is in the audit log.',
    );
  addDataOptions(command).action((flags: Flags) => runCommand(() => repriceCalls(flags)));
}

function readWhen(text: string): number {
  const moment = readMoment(text, Date.now());
  if (moment === undefined)
    throw new InvalidArgumentError('Give an ISO date such as 2030-01-31, or 7d, 24h, 90m.');
  return moment;
}

async function repriceCalls(flags: Flags): Promise<string> {
  const config = readPricedConfig(flags.config);
  return await withRecords(flags, async (db) => {
    const { since = 0, until = Date.now() + 1, all, dryRun } = flags;
    const organisations = await allOrganisations(db, config);
    const charge = chargesBy({ ...config, organisations }, flags);
    return format(await reprice(db, { since, until, all, dryRun, charge }), flags);
  });
}

/** Those of the store and those of the file, which win. */
async function allOrganisations(
  db: Store['db'],
  { organisations }: Pick<Config, 'organisations'>,
): Promise<Config['organisations']> {
  const stored = await listTenantsOf(db, 'organisations');
  const read = stored.flatMap(({ name, document }) => {
    const { data } = organisationSchema.safeParse(document);
    return data === undefined ? [] : [[name, data] as const];
  });
  return { ...Object.fromEntries(read), ...organisations };
}

type Wanted = Pick<Flags, 'model' | 'target' | 'all'>;

const hourMs = 3_600_000;

/** What attempts cost by a configuration; undefined for those that are not meant, or cannot be told. */
export function chargesBy(
  config: Pick<Config, 'providers' | 'prices' | 'organisations'>,
  { model, target }: Wanted,
): (names: Names, settled: Settled) => Charged | undefined {
  /** Prices depend on the hour at most. */
  const offers = new Map<string, Offer>();
  return (names, settled) => {
    if (!matches(model, names.model) || !matches(target, names.target)) return undefined;
    const hour = Math.floor(settled.at / hourMs);
    const name = `${hour} ${names.target}`;
    let offer = offers.get(name);
    if (offer === undefined) {
      if (offers.size > 10_000) offers.clear();
      offer = offerOf(config, names.target, settled.at);
      offers.set(name, offer);
    }
    const { price } = offer;
    const nanoUsd = price && costOf(names, settled, offer);
    if (price === undefined || nanoUsd === undefined) return undefined;
    const pricing = Object.hasOwn(config.organisations, names.organisation)
      ? config.organisations[names.organisation]!.pricing
      : undefined;
    return { price, nanoUsd, sellNanoUsd: pricing ? sellPrice(nanoUsd, sellPpmOf(pricing)) : nanoUsd };
  };
}

function costOf(
  names: Names,
  { usage, nanoUsd }: Settled,
  { price, batchShare }: Offer,
): NanoUsd | undefined {
  if (names.operation === 'batch') {
    // A batch is charged request by request, of which only the sum is kept.
    return nanoUsd === undefined && price
      ? chargeShare(usage, priceOfMany(price), batchShare ?? 1)
      : undefined;
  }
  const { image, imageKind } = usage.units ?? {};
  // Kinds of images have prices of their own, and older records do not say which it was.
  if (nanoUsd !== undefined && image && imageKind === undefined && price?.units?.images) return undefined;
  return chargeKnown(usage, price);
}

function matches(pattern: string | undefined, name: string): boolean {
  if (pattern === undefined) return true;
  return pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}

function format(rows: Repriced[], { dryRun, format: form }: Flags): string {
  if (form === 'json') return `${JSON.stringify(rows, null, 2)}\n`;
  if (rows.length === 0) return 'Nothing to change.\n';
  const sold = rows.some(
    (row) => row.sell_usd_before !== row.usd_before || row.sell_usd_after !== row.usd_after,
  );
  const money = [
    'usd_before',
    'usd_after',
    ...(sold ? (['sell_usd_before', 'sell_usd_after'] as const) : []),
  ] as const;
  const columns = money.map((name) => alignPoints(rows.map((row) => row[name])));
  const title = dryRun ? 'This would change:\n' : 'Changed:\n';
  return `${title}${formatTable(
    ['target', 'attempts', 'unpriced before', ...money.map((name) => name.replaceAll('_', ' '))].map(
      (title, i) => ({ title, align: i === 0 ? 'left' : 'right' }),
    ),
    rows.map((row, i) => [
      row.target,
      String(row.attempts),
      String(row.unpriced_before),
      ...columns.map((column) => column[i]!),
    ]),
  )}`;
}
