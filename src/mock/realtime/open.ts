/** Opens realtime sessions of the mock: at OpenAI's path, with its ways to send a key, refused as model names ask. */
import { Pipe, pairTunnels, type Switched, type Tunnel } from '../../wire/tunnel.ts';
import { acceptKey, asksToSwitch } from '../../wire/websocket/handshake.ts';
import { type Answer, answerError, answerHtml, joinPieces } from '../answer.ts';
import { type Refusal, Refused } from '../ask.ts';
import type { Behaviour } from '../behaviour.ts';
import { failure } from '../errors.ts';
import { type Counters, Visit } from '../play.ts';
import { type Incoming, splitPath } from '../routes.ts';
import { openai } from '../voices/openai.ts';
import { RealtimeTalk } from './talk.ts';

/** What sessions need of the mock. */
export interface RealtimeHost {
  /** @throws Refused when a key is wanted and this is none. */
  checkKey(incoming: Incoming): void;
  /** @throws Refused for names that mean nothing. */
  behaviourOf(model: string): Behaviour;
  failureOf(behaviour: Behaviour): Refusal | undefined;
  newId(prefix: string): string;
  counters: Counters;
}

/** A session that may begin. */
export interface Accepted {
  behaviour: Behaviour;
  headers: Record<string, string>;
  /** Talks until one side ends it. */
  talk(tunnel: Tunnel): Promise<void>;
}

const keyProtocol = 'openai-insecure-api-key.';

/** Whether a request asks for a session, at whichever of the paths hosts have for it. */
export function asksForRealtime({ path }: Incoming): boolean {
  return splitPath(path)[0].endsWith('/realtime');
}

/** @returns the answer that refuses it, or what accepts it. */
export function openRealtime(host: RealtimeHost, incoming: Incoming): Answer | Accepted {
  let behaviour: Behaviour = { say: 'echo' };
  try {
    const offered = (incoming.header('sec-websocket-protocol') ?? '').split(',').map((name) => name.trim());
    const secret = offered.find((name) => name.startsWith(keyProtocol))?.slice(keyProtocol.length);
    host.checkKey(secret === undefined ? incoming : withKey(incoming, secret));
    const [, query] = splitPath(incoming.path);
    const transcribes = query.get('intent') === 'transcription';
    const model = query.get('model') ?? query.get('deployment') ?? (transcribes ? 'echo' : '');
    behaviour = host.behaviourOf(model);
    const failed = host.failureOf(behaviour);
    if (failed !== undefined) throw new Refused(failed);
    if (behaviour.say === 'html') return answerHtml(behaviour);
    if (!asksToSwitch(incoming.header)) throw new Refused(failure(openai, 'bad_request'));
    const headers: Record<string, string> = {
      upgrade: 'websocket',
      connection: 'Upgrade',
      'sec-websocket-accept': acceptKey(incoming.header('sec-websocket-key') ?? ''),
    };
    if (offered.includes('realtime')) headers['sec-websocket-protocol'] = 'realtime';
    const talk = new RealtimeTalk(model, transcribes, behaviour, host.newId);
    return { behaviour, headers, talk: (tunnel) => talk.run(tunnel, new Visit(host.counters)) };
  } catch (thrown) {
    if (!(thrown instanceof Refused)) throw thrown;
    return answerError(openai, thrown.refusal, behaviour, host.newId('req_'));
  }
}

export function isAccepted(opening: Answer | Accepted): opening is Accepted {
  return 'talk' in opening;
}

function withKey(incoming: Incoming, secret: string): Incoming {
  return { ...incoming, header: (name) => (name === 'authorization' ? secret : incoming.header(name)) };
}

/** The connection goes down before there is an answer. */
export function dropsOpening({ fault, after }: Behaviour): boolean {
  return fault === 'reset' && after === 0;
}

/** The same within this process. @throws what a connection that broke would. */
export async function switchInProcess(opening: Answer | Accepted): Promise<Switched> {
  const beforeMs = (isAccepted(opening) ? opening.behaviour.beforeMs : opening.beforeMs) ?? 0;
  if (beforeMs > 0) await Bun.sleep(beforeMs);
  if (!isAccepted(opening)) return refused(opening);
  if (dropsOpening(opening.behaviour)) throw new Error('The socket connection was closed unexpectedly.');
  const [near, far] = pairTunnels();
  void opening.talk(far);
  return Object.assign(near, headOf(101, opening.headers));
}

function refused(answer: Answer): Switched {
  const body = new Pipe();
  const whole = joinPieces(answer);
  body.push(typeof whole === 'string' ? new TextEncoder().encode(whole) : whole);
  body.end();
  const tunnel: Tunnel = {
    read: () => body.read(),
    write: () => {},
    unsentBytes: 0,
    onDrained: undefined,
    end: () => {},
    cut: () => {},
  };
  return Object.assign(tunnel, headOf(answer.status, answer.headers));
}

function headOf(
  status: number,
  lines: Record<string, string>,
): Pick<Switched, 'status' | 'header' | 'headers'> {
  const headers = new Headers(lines);
  return { status, header: (name) => headers.get(name), headers: () => headers };
}
