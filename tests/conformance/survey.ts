/** Tries every feature of the fixtures between every client dialect and every provider dialect. */

import type { ChatRequest, ChatResponse, DialectName } from '../../src/core/chat.ts';
import { GatewayError } from '../../src/core/error.ts';
import { foreign, namePaths } from '../../src/core/loss.ts';
import type { ClientDialect, Dialect } from '../../src/dialects/dialect.ts';
import { clientDialects, dialects } from '../../src/dialects/index.ts';
import type { Quirks } from '../../src/dialects/quirks.ts';
import { adaptRequest } from '../../src/gateway/adapt.ts';
import { listWanted } from '../../src/gateway/fetch-media.ts';
import { isAnswerTo } from '../laws/gist.ts';
import { foldText, readStream, tryFold, writeText } from '../laws/reading.ts';
import { requests, responses, type StreamSample, streams } from '../laws/samples.ts';
import { throwsKind } from '../laws/verdict.ts';
import { answerFeatures } from './answer-features.ts';
import { requestFeatures } from './request-features.ts';

/** How it went: natively where nothing is said. */
export interface Outcome {
  /** By what other means the target is asked for it. */
  by?: 'fetching' | 'asking again' | 'instruction' | 'a forced tool' | 'an estimate';
  /** Named as left out; in answers, which name nothing, one empty name. */
  lost: string[];
  /** Named as what cannot be said: the target is not asked. */
  refused: string[];
}

/** By feature; undefined where clients of the dialect have no word for it. */
export type Row = ReadonlyMap<DialectName, readonly Outcome[]>;

export interface Finding {
  group: string;
  feature: string;
  client: DialectName;
  /** By provider dialect; none: no provider of the dialect answers so, or asks so. */
  row: Row;
}

/** Places in lists say nothing of what is lost. */
function nameLosses(paths: readonly string[]): string[] {
  const names = paths.map((path) =>
    path.replace(/\[\d+\]/g, '').replace(/^(messages|system)\.(content\.)*/, ''),
  );
  return [...new Set(names)];
}

/** What becomes of a request on its way to a provider, as the gateway renders it. */
function tryRequest(asked: ChatRequest, from: Dialect, to: Dialect, quirks: Quirks): Outcome {
  const lost: string[] = [];
  const own = from === to;
  let by: Outcome['by'];
  try {
    const { request, form, copies } = adaptRequest(structuredClone(asked), to.can, quirks, own);
    const losses = foreign(request, to.name, to.can, from.can);
    const wanted = own ? [] : listWanted(request, to.can);
    lost.push(...losses.hints);
    if (losses.meaning.length > wanted.length) return { lost: [], refused: nameLosses(losses.meaning) };
    if (wanted.length > 0) return { by: 'fetching', lost: nameLosses(lost), refused: [] };
    const body = to.writeRequest(request, quirks, lost);
    if (copies > 1) by = 'asking again';
    else if (form !== undefined) by = 'instruction';
    else if (asked.tools === undefined && JSON.stringify(body).includes('"tools"')) by = 'a forced tool';
    return { ...(by && { by }), lost: nameLosses(namePaths(lost, request, from.can)), refused: [] };
  } catch (thrown) {
    if (!(thrown instanceof GatewayError) || thrown.kind !== 'unsupported') throw thrown;
    return { lost: [], refused: nameLosses([thrown.detail.param ?? thrown.message]) };
  }
}

/** Every feature of every client dialect's fixtures, asked of plain providers. */
export function surveyRequests(): Finding[] {
  return findingsFor([...dialects.values()], {});
}

/** The same, asked of one host. */
export function surveyHost(provider: Dialect, quirks: Quirks): Finding[] {
  return findingsFor([provider], quirks);
}

function findingsFor(providers: readonly Dialect[], quirks: Quirks): Finding[] {
  const findings: Finding[] = [];
  for (const client of clientDialects) {
    for (const { group, name, take } of requestFeatures) {
      const taken = requestsOf(client).flatMap((request) => take(request) ?? []);
      if (taken.length === 0) continue;
      const row = new Map<DialectName, Outcome[]>();
      for (const provider of providers) {
        const outcomes = taken.map((request) => tryRequest(request, client, provider, quirks));
        row.set(provider.name, distinct(outcomes));
      }
      findings.push({ group, feature: name, client: client.name, row });
    }
  }
  return findings;
}

const asked = new Map<ClientDialect, ChatRequest[]>();

/** The requests of a dialect's fixtures, read. */
function requestsOf(client: ClientDialect): ChatRequest[] {
  let all = asked.get(client);
  if (all === undefined) {
    all = requests.flatMap(({ fixture, refused, dialect, content }) =>
      fixture && !refused && dialect === client ? [client.readRequest(structuredClone(content))] : [],
    );
    asked.set(client, all);
  }
  return all;
}

function distinct(outcomes: readonly Outcome[]): Outcome[] {
  return [...new Map(outcomes.map((outcome) => [JSON.stringify(outcome), outcome])).values()];
}

// Answers

interface Answer {
  name: string;
  answer: ChatResponse;
  /** The same as a client gets it; undefined where no answer is made of it. */
  heard(client: ClientDialect): ChatResponse;
}

function answersOf(provider: Dialect): Answer[] {
  const whole = responses.flatMap(({ fixture, dialect, name, content, quirks }): Answer[] => {
    if (!fixture || dialect !== provider) return [];
    if (throwsKind(() => dialect.readResponse(content, quirks)) !== undefined) return [];
    const answer = dialect.readResponse(content, quirks);
    return [
      {
        name,
        answer,
        heard: (client) => client.readResponse(asWire(client.writeResponse(structuredClone(answer))), {}),
      },
    ];
  });
  const streamed = streams.flatMap((sample: StreamSample): Answer[] => {
    if (!sample.fixture || sample.dialect !== provider) return [];
    const events = readStream(sample);
    const answer = tryFold(events, provider.name);
    if (answer === undefined) return [];
    return [
      {
        name: `${sample.name}, streamed`,
        answer,
        heard: (client) => foldText(client, writeText(client, events)),
      },
    ];
  });
  return [...whole, ...streamed];
}

const asWire = <Value>(value: Value): Value => JSON.parse(JSON.stringify(value));

export function surveyAnswers(): Finding[] {
  const answers = new Map([...dialects.values()].map((provider) => [provider.name, answersOf(provider)]));
  const findings: Finding[] = [];
  for (const { name: feature, of, heard: gist = of, asked } of answerFeatures) {
    for (const client of clientDialects) {
      if (asked !== undefined && !client.can.params.has(asked)) continue;
      const row = new Map<DialectName, Outcome[]>();
      for (const [provider, all] of answers) {
        const having = all.filter(({ answer }) => of(answer) !== undefined && isAnswerTo(client, answer));
        if (having.length === 0) continue;
        const lost = having.filter(({ answer, heard }) => !Bun.deepEquals(gist(heard(client)), gist(answer)));
        row.set(provider, [{ lost: lost.length === 0 ? [] : [''], refused: [] }]);
      }
      findings.push({ group: 'Answers', feature, client: client.name, row });
    }
  }
  return findings;
}
