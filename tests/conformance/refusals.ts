/** What a recorded refusal says, and what a client is to hear of it. */
import { isObject, type Json } from '../../src/core/json.ts';
import { sseEvents } from '../recordings.ts';
import type { Replayed } from './replayed.ts';

/** Why an error does not reach clients with the status it was recorded with. */
interface Restated {
  file: RegExp;
  /** Only where it does not pass as it is. */
  translated?: true;
  why: string;
  status: number;
}

const restated: readonly Restated[] = [
  {
    file: /rejects-an-unknown-model|routed-failure-error-shape|should-handle-api-errors-gracefully/,
    translated: true,
    why: 'there is no such model',
    status: 404,
  },
  { file: /openai-error-1\.0\.vercel\.json/, translated: true, why: 'the account has run dry', status: 429 },
  { file: /openai-error-1\.0\.vercel\.stream/, why: 'the account has run dry', status: 429 },
  { file: /xai.*raises-appropriate-auth-err/, why: "the gateway's own key was refused", status: 502 },
  { file: /converse-stream-validation-exception/, why: 'the stream began with the refusal', status: 400 },
];

/** The status a client hears. A refusal of the gateway's own key is not the client's business. */
export function statusOf({ file, recording }: Replayed, translated: boolean): number {
  const found = restated.find((each) => each.file.test(file) && (translated || !each.translated));
  const { status } = recording.response;
  return found?.status ?? (status === 401 || status === 403 ? 502 : status);
}

/** The words of the provider, a router's and those of whom it asked; none where the recorder did not keep them readable. */
export function wordsOf({ recording: { response } }: Replayed): string[] {
  const { body, sse, events } = response;
  if (sse !== undefined) return sseEvents(sse).flatMap(({ data }) => messagesIn(JSON.parse(data)));
  return messagesIn(events?.at(-1)?.payload ?? body);
}

function messagesIn(value: Json | undefined): string[] {
  if (!isObject(value)) return [];
  const { error, message, detail, response, metadata } = value;
  const raw = isObject(metadata) ? metadata.raw : undefined;
  const own = [message, detail, error, raw].filter((text) => typeof text === 'string');
  return [...own, ...messagesIn(error), ...messagesIn(response)];
}

/** Seconds after which the provider wants to be asked again, in whatever form it says so. */
export function retryAfterOf(each: Replayed): number | undefined {
  const { status, headers, body } = each.recording.response;
  if (status !== 429 && status < 500) return undefined;
  const told =
    /"retryDelay":"([\d.]+)s"/.exec(JSON.stringify(body)) ??
    /try again in ([\d.]+)s/.exec(wordsOf(each).join());
  const ms = headers['retry-after-ms'];
  const s = Number(headers['retry-after'] ?? (ms === undefined ? told?.[1] : Number(ms) / 1000));
  return Number.isNaN(s) ? undefined : Math.ceil(s);
}
