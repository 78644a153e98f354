/**
 * Every fault of fault-table.ts over real sockets, whole and streamed, for clients of every dialect, with a provider of
 * the same and of another: what the client hears, what is recorded and charged, and whose health suffers.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { errorKinds } from '../../src/core/error.ts';
import { type FaultyProvider, type Spoken, said, spoken, startFaultyProvider } from '../faulty-provider.ts';
import { type Fault, faults, type Way } from './fault-table.ts';
import { type AttemptRow, forced, startGateway, type TestGateway } from './gateway.ts';
import { type Heard, listen } from './hearing.ts';

const others: Readonly<Record<Spoken, Spoken>> = {
  'openai-chat': 'anthropic-messages',
  'anthropic-messages': 'gemini',
  'openai-responses': 'openai-chat',
  gemini: 'openai-responses',
};

/** One client, one provider, one way to ask. */
interface Case {
  /** Of the provider, and of the route that has another target. */
  name: string;
  fault: Fault;
  client: Spoken;
  provider: Spoken;
  way: Way;
}

const ways = ['whole', 'streamed'] as const;
const casesOf = (fault: Fault, number: number): Case[] =>
  spoken.flatMap((client) =>
    [client, others[client]].flatMap((provider) =>
      ways
        .filter((way) => fault.way === undefined || fault.way === way)
        .map((way) => ({ name: `f${number}_${client}_${provider}_${way}`, fault, client, provider, way })),
    ),
  );
const table = faults.map((fault, number) => [fault.name, casesOf(fault, number)] as const);

let provider: FaultyProvider;
let gateway: TestGateway;
let mute: Server;
let untrusted: ReturnType<typeof Bun.serve>;
const certificates = mkdtempSync(join(tmpdir(), 'sluice-faults-'));
const connected = new Set<Socket>();

/** A target's model is its fault: letters and digits, as it stands in paths. */
const modelOf = (fault: Fault): string => fault.name.replaceAll(' ', '-');

function urlOf({ url }: Fault): string {
  switch (url) {
    case undefined:
      return provider.base;
    case 'refused':
      return 'http://127.0.0.1:1/v1';
    case 'unknown':
      return 'http://nowhere.invalid/v1';
    case 'untrusted':
      return `https://localhost:${untrusted.port}/v1`;
    case 'no-tls':
      return provider.base.replace('http:', 'https:');
    case 'mute-tls':
      return `https://127.0.0.1:${(mute.address() as { port: number }).port}/v1`;
  }
}

function makeCertificate(): { key: string; cert: string } {
  const [key, cert] = [join(certificates, 'key.pem'), join(certificates, 'cert.pem')];
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
  const files = ['-keyout', key, '-out', cert];
  const command = [
    'openssl',
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-days',
    '2',
    ...subject,
    ...files,
  ];
  expect(Bun.spawnSync(command, { stderr: 'ignore' }).exitCode).toBe(0);
  return { key, cert };
}

beforeAll(async () => {
  const byModel = new Map(faults.map((fault) => [modelOf(fault), fault]));
  provider = await startFaultyProvider((visit) => {
    const play = byModel.get(visit.model)?.play;
    if (play === undefined) visit.fine();
    else void play(visit);
  });
  mute = createServer((socket) => {
    connected.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => connected.delete(socket));
  });
  await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
  const { key, cert } = makeCertificate();
  untrusted = Bun.serve({
    port: 0,
    tls: { key: Bun.file(key), cert: Bun.file(cert) },
    fetch: () => new Response('never asked'),
  });
  const text = (value: string) => JSON.stringify(value);
  const lines = { providers: [] as string[], models: [] as string[], prices: [] as string[] };
  for (const { name, fault, provider } of table.flatMap(([, cases]) => cases)) {
    const timeout = fault.timeout === undefined ? '' : `, timeout: { ${fault.timeout} }`;
    const id = text(`${name}/${modelOf(fault)}`);
    lines.providers.push(`  ${name}: { speaks: ${provider}, url: ${text(urlOf(fault))}, key: up${timeout} }`);
    lines.models.push(`  ${name}: { fallback: [${id}, good/fine] }`, `  ${name}_alone: ${id}`);
    lines.prices.push(`  ${id}: { input: 1, output: 1 }`);
  }
  gateway = await startGateway(`
providers:
  good: { speaks: [${spoken.join(', ')}], url: ${text(provider.base)}, key: up }
${lines.providers.join('\n')}
models:
${lines.models.join('\n')}
prices:
  good/fine: { input: 1, output: 1 }
${lines.prices.join('\n')}
`);
  // So much at once would be a general outage, in which attempts are not made that are looked at here.
  gateway.app.gateway.retries.take = () => true;
}, 30_000);

afterAll(async () => {
  await gateway.stop();
  provider.stop();
  mute.close();
  for (const socket of connected) socket.destroy();
  await untrusted.stop(true);
  rmSync(certificates, { recursive: true, force: true });
});

const hear = ({ client, way }: Case, model: string): Promise<Heard> =>
  listen(gateway, provider, client, way, model);

function statusOf({ fault, client, provider: other }: Case): number {
  const { outcome, refusal, upstream } = fault;
  if (refusal && client === other && outcome !== 'upstream_auth' && !forced) return upstream;
  if (outcome === 'upstream_overloaded' && client === 'anthropic-messages') return 529;
  return errorKinds[outcome].status;
}

/** Attempts that found a kept connection closed were made again at once. */
function rowsOf(rows: readonly AttemptRow[], { headers }: Heard): AttemptRow[] {
  const all = rows.filter(({ call }) => call === headers.get('x-request-id'));
  expect(headers.get('x-sluice-attempts')).toBe(String(all.length));
  return all.filter(({ outcome }) => outcome !== 'upstream_stale');
}

/** A token costs a thousand nano-dollars. */
function expectCharged({ input, output, nano_usd, estimated }: AttemptRow, fault: Fault): void {
  expect(Number(nano_usd)).toBe((Number(input) + Number(output)) * 1000);
  if (fault.free) expect(Number(nano_usd)).toBe(0);
  if (fault.begun) {
    expect(estimated).toBe(1);
    expect(Number(output)).toBeGreaterThan(20);
  }
}

function expectFailed(each: Case, row: AttemptRow | undefined): void {
  const { fault, name } = each;
  expect(row).toMatchObject({
    target: `${name}/${modelOf(fault)}`,
    outcome: fault.outcome,
    upstream_status: fault.upstream,
  });
  expectCharged(row!, fault);
}

/** The client has the beginning, and an error after it. */
function expectBroken(each: Case, heard: Heard, rows: AttemptRow[]): void {
  expect(heard).toMatchObject({ status: 200, ended: false });
  expect(heard.error).toBeString();
  expect(heard.text).not.toBe('');
  expect(said).toStartWith(heard.text);
  expect(rows).toHaveLength(1);
  expectFailed(each, rows[0]);
  expect(rows[0]).toMatchObject({ final: 1, client_status: 200 });
}

function expectSecond(each: Case, heard: Heard, rows: AttemptRow[]): void {
  expect(heard).toMatchObject({ status: 200, text: said, error: undefined, ended: true });
  expect(heard.headers.get('x-sluice-target')).toBe('good/fine');
  expect(rows).toHaveLength(2);
  expectFailed(each, rows[0]);
  expect(rows[0]).toMatchObject({ final: 0, client_status: 0 });
  expect(rows[1]).toMatchObject({ target: 'good/fine', outcome: 'ok', final: 1, client_status: 200 });
  expect(rows[1]).toMatchObject({ input: 7, output: 5, nano_usd: 12_000 });
}

function expectRefused(each: Case, heard: Heard, rows: AttemptRow[]): void {
  expect(heard).toMatchObject({ status: statusOf(each), text: '' });
  expect(heard.error).toBeString();
  expect(rows).toHaveLength(1);
  expectFailed(each, rows[0]);
  expect(rows[0]).toMatchObject({ final: 1, client_status: heard.status });
}

/** Silence that no other target can break is what the client gets. */
const isSilence = ({ name }: Fault): boolean => name.endsWith('without a word');

describe.each(table)('%s', (_name, cases) => {
  test.concurrent('is survived, told and recorded', async () => {
    const heard = await Promise.all(
      cases.flatMap((each) => [hear(each, each.name), hear(each, `${each.name}_alone`)]),
    );
    const rows = await gateway.attempts();
    cases.forEach((each, i) => {
      const [first, alone] = [heard[2 * i]!, heard[2 * i + 1]!];
      try {
        const expectTwo = each.fault.begun ? expectBroken : expectSecond;
        expectTwo(each, first, rowsOf(rows, first));
        if (isSilence(each.fault)) expect(alone).toMatchObject({ status: 200, text: '', ended: true });
        else {
          const expectOne = each.fault.begun ? expectBroken : expectRefused;
          expectOne(each, alone, rowsOf(rows, alone));
        }
      } catch (thrown) {
        throw new Error(`${each.name}: ${(thrown as Error).message}`);
      }
    });
  }, 30_000);

  const { name, fault, way } = cases[0]!;
  test.concurrent(`${fault.blames} suffers from it`, async () => {
    const route = gateway.app.gateway.snapshot().resolve(`${name}_alone`)!;
    if (route.type !== 'target') throw new Error('no target');
    let wasHealthy = true;
    const ask = async () => {
      await hear({ ...cases[0]!, way }, isSilence(fault) ? name : `${name}_alone`);
      // It is asked again after a while, and this may take longer.
      wasHealthy &&= gateway.app.gateway.sight.isHealthy(route.target, Date.now());
    };
    await Promise.all(Array.from({ length: fault.blames === 'key' ? 1 : 12 }, ask));
    expect(wasHealthy).toBe(fault.blames === 'nobody');
  }, 30_000);
});

test('nothing stays in flight, and no connection to a provider that never spoke', async () => {
  expect(gateway.app.gateway.inflight.count).toBe(0);
  expect(connected.size).toBe(0);
  const open = (await gateway.attempts()).filter(({ outcome }) => outcome === null);
  expect(open).toEqual([]);
});
