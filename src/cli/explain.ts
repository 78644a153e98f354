/** `sluice explain`: why a request would go where it goes, without sending it; or why a call went where it went. */
import { readFileSync } from 'node:fs';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { explainConfig } from '../app.ts';
import { configFromEnvironment, loadConfig } from '../config/load.ts';
import { formatMistakes } from '../config/mistakes.ts';
import type { Config } from '../config/schema.ts';
import { clientDialectNames } from '../core/chat.ts';
import { GatewayError } from '../core/error.ts';
import {
  type ExplainedRoute,
  type ExplainedTarget,
  type ExplainQuery,
  type Explanation,
  sayScore,
} from '../core/explain.ts';
import { isObject, type JsonObject } from '../core/json.ts';
import { defaultConfigFile, findConfigFile } from './config-file.ts';
import { CommandError, runCommand } from './data-dir.ts';
import { readMoment } from './moment.ts';
import { showRecordedCall } from './recorded-call.ts';
import { formatTable } from './table.ts';

interface Flags {
  config?: string;
  model?: string;
  dialect: ExplainQuery['dialect'];
  key?: string;
  tag: string[];
  session: string;
  endUser: string;
  tokens: number;
  maxTokens?: number;
  stream: boolean;
  down: string[];
  at?: number;
  seed: number;
  call?: string;
  data?: string;
  json: boolean;
}

export function addExplainCommand(program: Command): void {
  program
    .command('explain')
    .description('show where a request would go, and why, without sending it')
    .argument('[file]', 'a request as a client would send it, in JSON; - for standard input')
    .option('-c, --config <file>', `configuration file (default: ${defaultConfigFile} where there is one)`)
    .option('-m, --model <name>', 'model asked for (default: the one in the request)')
    .addOption(
      new Option('--dialect <name>', 'language of the request')
        .choices(clientDialectNames)
        .default('openai-chat'),
    )
    .option('--key <name>', 'name of the key that asks (default: one without any restriction)')
    .option('--tag <name=value>', 'a tag of the call; may be given several times', collect, [])
    .option('--session <name>', 'session of the call', '')
    .option('--end-user <name>', 'end user of the call', '')
    .option('--tokens <n>', 'tokens of the request, where no file tells', readWhole, 0)
    .option('--max-tokens <n>', "the client's limit of the answer", readWhole)
    .option('--stream', 'the answer is wanted as a stream', false)
    .option('--down <target>', 'take a target, or provider/*, to be down; several times', collect, [])
    .option('--at <when>', 'the moment: an ISO date (UTC), or 7d, 24h, 90m ago (default: now)', readWhen)
    .option('--seed <n>', 'of the random numbers', readWhole, 1)
    .option('--call <id>', 'explain a call that was made: the x-request-id of its answer')
    .option('-d, --data <dir>', 'with --call: data directory of the gateway (default: ./sluice-data)')
    .option('--json', 'print it as JSON', false)
    .addHelpText(
      'after',
      '\nWhat a running gateway has learned, spent and seen fail is not known here: POST /admin/v1/explain asks the\n' +
        'gateway itself, by the same code.',
    )
    .action((file: string | undefined, flags: Flags) => runCommand(() => show(file, flags)));
}

function collect(value: string, before: string[]): string[] {
  return [...before, value];
}

function readWhole(text: string): number {
  if (!/^\d{1,12}$/.test(text)) throw new InvalidArgumentError('Give a whole number.');
  return Number(text);
}

function readWhen(text: string): number {
  const moment = readMoment(text, Date.now());
  if (moment === undefined)
    throw new InvalidArgumentError('Give an ISO date such as 2030-01-31, or 7d, 24h, 90m.');
  return moment;
}

async function show(file: string | undefined, flags: Flags): Promise<string> {
  if (flags.call !== undefined) return showRecordedCall(flags.call, flags, flags.json);
  const body = file === undefined ? undefined : readBody(file);
  if (body === undefined && flags.model === undefined) {
    throw new CommandError('Name a request file, or a model with --model NAME.', 2);
  }
  const source = findConfigFile(flags.config);
  const explained = explainOrSay(readConfig(source), queryOf(body, flags), source);
  return flags.json ? `${JSON.stringify(explained, null, 2)}\n` : format(explained);
}

function explainOrSay(config: Config, query: ExplainQuery, source: string | undefined): Explanation {
  try {
    return explainConfig(config, query);
  } catch (error) {
    if (error instanceof GatewayError) {
      const read = source ?? `no ${defaultConfigFile} here, so what the environment sets up`;
      throw new CommandError(`${error.message}\n(Configuration: ${read}.)`, 2);
    }
    throw error;
  }
}

function readBody(file: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file === '-' ? 0 : file, 'utf8'));
  } catch (error) {
    throw new CommandError(`${file} cannot be read as JSON: ${(error as Error).message}`, 2);
  }
  if (isObject(value)) return value as JsonObject;
  throw new CommandError(`${file} holds no request: a JSON object is wanted.`, 2);
}

function readConfig(file: string | undefined): Config {
  if (file === undefined) return configFromEnvironment(process.env);
  const { config, mistakes } = loadConfig(file, process.env);
  if (config === undefined) throw new CommandError(formatMistakes(file, mistakes), 2);
  return config;
}

function queryOf(body: JsonObject | undefined, flags: Flags): ExplainQuery {
  const tags = flags.tag.map((tag) => {
    const at = tag.indexOf('=');
    if (at < 1) throw new CommandError(`--tag takes name=value, not "${tag}".`, 2);
    return [tag.slice(0, at), tag.slice(at + 1)];
  });
  return {
    model: flags.model,
    body,
    dialect: flags.dialect,
    key: flags.key,
    tags: Object.fromEntries(tags) as Record<string, string>,
    session: flags.session,
    end_user: flags.endUser,
    tokens: flags.tokens,
    max_tokens: flags.maxTokens,
    stream: flags.stream,
    at: flags.at ?? Date.now(),
    down: flags.down,
    seed: flags.seed,
  };
}

/** As people read it: the route as a tree, the targets in their order, the limits. */
function format({ model, key, tokens, refused, route, targets, limits }: Explanation): string {
  const parts = [`${model}, ${tokens} tokens, ${key === null ? 'any key' : `key ${key}`}\n`];
  if (route !== undefined && route.type !== 'target') parts.push(`${drawRoute(route).join('\n')}\n`);
  const columns = ['', 'target', 'way', 'cost (usd)', 'notes'].map((title) => ({
    title,
    align: 'left' as const,
  }));
  if (targets.length > 0) parts.push(formatTable(columns, targets.map(rowOf)));
  if (limits.length > 0) {
    const titles = ['limit of', 'unit', 'per', 'max', 'used', 'held', 'needed', ''];
    parts.push(
      formatTable(
        titles.map((title) => ({ title, align: 'left' as const })),
        limits.map((each) => [
          `${each.owner} ${each.name}`,
          each.unit,
          each.per ?? '',
          each.max,
          each.used,
          each.reserved,
          each.needed,
          each.refuses ? 'refuses' : '',
        ]),
      ),
    );
  }
  if (refused !== undefined) parts.push(`Refused (${refused.kind}): ${refused.message}\n`);
  return parts.join('\n');
}

function rowOf(each: ExplainedTarget, i: number): string[] {
  const notes = [
    ...(each.passed_over === undefined ? [] : [`passed over: ${each.passed_over}`]),
    ...(each.healthy ? [] : ['not well']),
    ...(each.fits ? [] : ['context too small']),
    ...(each.lost.length === 0 ? [] : [`loses ${each.lost.join(', ')}`]),
  ];
  return [String(i + 1), each.target, each.way, each.expected_cost_usd ?? 'unpriced', notes.join('; ')];
}

function drawRoute(route: ExplainedRoute, indent = ''): string[] {
  const score = route.score === undefined ? '' : `  (${sayScore(route.score, route.unit)})`;
  const condition = route.if === undefined ? '' : `  if ${route.if}`;
  const unused = route.unused ? '  not taken' : route.unseen ? '  asked unseen' : '';
  return [
    `${indent}${route.target ?? route.type}${score}${condition}${unused}`,
    ...(route.children ?? []).flatMap((child) => drawRoute(child, `${indent}  `)),
  ];
}
