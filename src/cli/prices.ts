/** `sluice prices`: what targets cost, and who says so. */
import { type Command, Option } from 'commander';
import { compile } from '../config/compile.ts';
import { offerOf } from '../config/price-of.ts';
import { targetsOf } from '../config/targets.ts';
import { formatRate, formatUsd, type Price, writePrice } from '../core/money.ts';
import { defaultConfigFile } from './config-file.ts';
import { CommandError, runCommand } from './data-dir.ts';
import { readPricedConfig } from './priced-config.ts';
import { formatTable } from './table.ts';

interface Flags {
  config?: string;
  format: 'table' | 'json';
}

interface Listed {
  target: string;
  price: Price | undefined;
}

export function addPricesCommand(program: Command): void {
  program
    .command('prices')
    .description('show what models cost, by which source and which version of it')
    .argument('[model]', 'a model of the configuration, or provider/model (default: all that are configured)')
    .option('-c, --config <file>', `configuration file (default: ${defaultConfigFile} where there is one)`)
    .addOption(new Option('--format <format>', 'how to print it').choices(['table', 'json']).default('table'))
    .action((model: string | undefined, flags: Flags) => runCommand(async () => showPrices(model, flags)));
}

function showPrices(model: string | undefined, { config: file, format }: Flags): string {
  const config = readPricedConfig(file);
  const now = Date.now();
  const rows = listTargets(model, config).map((target) => ({
    target,
    price: offerOf(config, target, now).price,
  }));
  return format === 'json' ? `${JSON.stringify(rows.map(toJson), null, 2)}\n` : toTable(rows);
}

function listTargets(model: string | undefined, config: ReturnType<typeof readPricedConfig>): string[] {
  const snapshot = compile(config, { version: 1 });
  if (model === undefined) {
    const known = [...snapshot.models.values()].flatMap(targetsOf).map(({ id }) => id);
    const direct = snapshot.listed.filter((name) => !snapshot.models.has(name));
    return [...new Set([...known, ...direct, ...Object.keys(config.prices)])].sort();
  }
  const route = snapshot.resolve(model);
  if (route !== undefined) return [...new Set(targetsOf(route).map(({ id }) => id))];
  // The catalogue knows prices of providers that are not set up, too.
  if (model.includes('/')) return [model];
  throw new CommandError(`No model "${model}" is configured. Name one that is, or provider/model.`);
}

/** Rates in pico-dollars for one, as every charge is made with. */
function toJson({ target, price }: Listed): object {
  if (price === undefined) return { target, source: null, version: null, price: null };
  const { source, version } = price;
  return { target, source, version, price: JSON.parse(writePrice(price)) as object };
}

function toTable(rows: readonly Listed[]): string {
  const left = ['target', 'source', 'version'].map((title) => ({ title, align: 'left' as const }));
  const right = ['input', 'cached', 'write', 'write 1h', 'output'].map((title) => ({
    title,
    align: 'right' as const,
  }));
  const cells = rows.map(({ target, price }) => {
    if (price === undefined) return [target, 'unpriced', '', '', '', '', '', '', ''];
    const { input, cacheRead, cacheWrite5m, cacheWrite1h, output } = price.rates;
    const rates = [input, cacheRead, cacheWrite5m, cacheWrite1h, output].map(perMillionUsd);
    return [target, price.source, price.version, ...rates, describeMore(price)];
  });
  const table = formatTable([...left, ...right, { title: 'and', align: 'left' }], cells);
  return `USD per million tokens. All rates are in --format json.\n\n${table}`;
}

/** Pico-dollars a token in USD a million. */
function perMillionUsd(pico: number): string {
  return formatRate(pico * 1e6);
}

/** What else there is to the price, in short. */
function describeMore({ tiers, serviceTiers, perCall, units, webSearch, webSearchOnce }: Price): string {
  return [
    ...tiers.map(
      ({ above, rates }) => `above ${above}: ${perMillionUsd(rates.input)}/${perMillionUsd(rates.output)}`,
    ),
    ...[...(serviceTiers ?? [])].map(
      ([tier, { rates }]) => `${tier}: ${perMillionUsd(rates.input)}/${perMillionUsd(rates.output)}`,
    ),
    ...(perCall > 0 ? [`each call ${formatUsd(perCall)}`] : []),
    ...(webSearch === undefined
      ? []
      : [`web search ${formatRate(webSearch)}${webSearchOnce ? ' an answer' : ''}`]),
    ...(units?.image === undefined ? [] : [`image ${formatRate(units.image)}`]),
    ...(units?.hour === undefined ? [] : [`hour ${formatRate(units.hour)}`]),
    ...(units?.character === undefined ? [] : [`million characters ${perMillionUsd(units.character)}`]),
    ...(units?.search === undefined ? [] : [`query ${formatRate(units.search)}`]),
  ].join(', ');
}
