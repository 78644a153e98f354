/** What only a running gateway shows: recorded traffic read and refused the same, tokens counted, signatures that come back. */
import type { DialectName } from '../../src/core/chat.ts';
import type { ClientDialect } from '../../src/dialects/dialect.ts';
import { clientDialects, dialects } from '../../src/dialects/index.ts';
import { sign } from '../../src/mock/plan.ts';
import { key } from '../e2e/gateway.ts';
import { speakersAt, type Talk } from '../e2e/talk.ts';
import type { Client } from './client.ts';
import { Comparer, isAsExpected } from './compare.ts';
import { rawRequest } from './raw-requests.ts';
import { statusOf } from './refusals.ts';
import { failsWithin, type Replayed, raiseStage, replayed, type Stage } from './replayed.ts';
import type { Finding, Outcome } from './survey.ts';

/** How many were tried, and how many went as they should. */
export interface Tally {
  right: number;
  all: number;
}

/** By client dialect and provider dialect, as `client provider`. */
export interface RecordedTraffic {
  answers: Map<string, Tally>;
  refusals: Map<string, Tally>;
}

export const pairOf = (client: DialectName, provider: DialectName): string => `${client} ${provider}`;

function count(tallies: Map<string, Tally>, pair: string, right: boolean): void {
  const tally = tallies.get(pair) ?? { right: 0, all: 0 };
  tally.all++;
  if (right) tally.right++;
  tallies.set(pair, tally);
}

const native: Outcome = { lost: [], refused: [] };

export async function tryLive(): Promise<{ recorded: RecordedTraffic; findings: Finding[] }> {
  const stage = await raiseStage(key);
  try {
    return {
      recorded: await tryRecordings(stage),
      findings: [...(await tryCounting(stage)), ...(await trySignatures(stage))],
    };
  } finally {
    await stage.stop();
  }
}

async function tryRecordings(stage: Stage): Promise<RecordedTraffic> {
  const comparer = new Comparer(stage, false);
  const recorded: RecordedTraffic = { answers: new Map(), refusals: new Map() };
  for (const each of replayed) {
    const refused = each.recording.response.status >= 400 || failsWithin(each);
    const tallies = refused ? recorded.refusals : recorded.answers;
    for (const client of stage.clients) {
      const right = refused
        ? await isRefused(client, each)
        : isAsExpected(await comparer.compare(client, each));
      count(tallies, pairOf(client.dialect, each.dialect), right);
    }
  }
  return recorded;
}

async function isRefused(client: Client, each: Replayed): Promise<boolean> {
  const thrown: unknown = await client.ask({ model: each.model, stream: each.streamed, tools: [] }).then(
    () => undefined,
    (error) => error,
  );
  if (!(thrown instanceof client.error)) return false;
  const { status, statusCode } = thrown as { status?: number; statusCode?: number };
  return (status ?? statusCode) === statusOf(each, client.dialect !== each.dialect);
}

// Counting

const countPaths: Partial<Record<DialectName, (path: string) => string>> = {
  'anthropic-messages': (path) => `${path}/count_tokens`,
  'openai-responses': (path) => `${path}/input_tokens`,
  gemini: (path) => path.replace('generateContent', 'countTokens'),
};

async function tryCounting(stage: Stage): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const client of clientDialects) {
    if (client.counting === undefined) continue;
    const row = new Map<DialectName, Outcome[]>();
    for (const provider of dialects.keys()) row.set(provider, [await countFor(stage, client, provider)]);
    findings.push({ group: 'Beside the conversation', feature: 'counting tokens', client: client.name, row });
  }
  return findings;
}

async function countFor(stage: Stage, client: ClientDialect, provider: DialectName): Promise<Outcome> {
  const { path, body } = rawRequest(client, { model: `${provider}/echo`, stream: false });
  const { stream: _, max_tokens: __, store: ___, ...question } = body;
  const before = stage.provider.requests.length;
  const answer = await stage.gateway.post(countPaths[client.name]!(path), question);
  if (!answer.ok) return { lost: [], refused: ['counting'] };
  return stage.provider.requests.length > before ? native : { ...native, by: 'an estimate' };
}

// Signatures

async function trySignatures(stage: Stage): Promise<Finding[]> {
  const signature = sign('The user wrote something. I will answer with their own words.');
  const rows = new Map<DialectName, Map<DialectName, boolean>>();
  for (const [client, speaker] of Object.entries(speakersAt(stage.gateway.url, key))) {
    const row = new Map<DialectName, boolean>();
    rows.set(client as DialectName, row);
    for (const provider of dialects.keys()) {
      if (dialects.get(provider)?.can.params.has('tools') !== true) continue;
      const hello = { user: ['Hello'] };
      const talk: Talk = { turns: [hello], tools: [{ name: 'get_time' }], thinks: true };
      const asked = await speaker.whole(`${provider}/tool:think=true`, talk);
      const results = asked.calls.map((call) => ({ call, text: 'noon' }));
      await speaker.whole(`${provider}/tool`, { ...talk, turns: [hello, { assistant: asked }, { results }] });
      row.set(provider, stage.provider.requests.at(-1)?.text.includes(signature) === true);
    }
  }
  // A provider that never hears its signature again does not sign.
  const signing = [...dialects.keys()].filter((provider) =>
    [...rows.values()].some((row) => row.get(provider)),
  );
  return [...rows].map(([client, row]) => ({
    group: 'Reasoning',
    feature: 'signatures handed back',
    client,
    row: new Map(
      signing.map((provider) => [
        provider,
        [row.get(provider) ? native : { lost: ['signature'], refused: [] }],
      ]),
    ),
  }));
}
