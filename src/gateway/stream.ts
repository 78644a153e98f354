/** A streamed answer: held until it means something, then passed on part by part, and never ended in silence. */
import { clientGone, GatewayError } from '../core/error.ts';
import type { Outlet } from '../wire/http/server/messages.ts';
import type { Attempt } from './attempt.ts';
import { type Countable, settleCounted } from './estimate.ts';
import type { Reply } from './reply.ts';
import type { Part, Stage } from './stages.ts';
import type { Upstream } from './upstream.ts';

export interface OpenStream {
  /** What has passed the stage already. */
  ready: Part[];
  reply: Reply;
  /** The provider's bytes have ended. */
  done: boolean;
}

/**
 * Reads until the stream has something a client would notice.
 * @throws GatewayError when it fails or ends before that: another target may still answer.
 */
export async function openStream(reply: Reply, stage: Stage, attempt: Attempt): Promise<OpenStream> {
  const open: OpenStream = { ready: [], reply, done: false };
  let size = 0;
  while (!stage.meaningful && !open.done) {
    const read = reply.read();
    const bytes = read instanceof Promise ? await read : read;
    open.done = bytes === undefined;
    // Until something is said it is the first token that is waited for, whatever comes before.
    if (bytes !== undefined) size += bytes.length;
    const part = bytes === undefined ? stage.end() : stage.push(bytes);
    if (stage.error !== undefined) throw stage.error;
    if (part !== undefined) open.ready.push(part);
    if (size > maxPreludeBytes && !stage.meaningful) throw noAnswer();
  }
  if (!stage.meaningful) throw cutShort();
  attempt.meaningful();
  return open;
}

/** Comments and pings beyond this are no answer on its way. */
const maxPreludeBytes = 1024 * 1024;

function noAnswer(): GatewayError {
  return new GatewayError(
    'upstream_invalid',
    'The provider sent a megabyte of stream without any answer in it.',
  );
}

export function cutShort(): GatewayError {
  return new GatewayError(
    'upstream_invalid',
    'The provider ended its stream before the answer was complete.',
  );
}

/** An attempt whose answer has begun. */
export interface Live {
  open: OpenStream;
  stage: Stage;
  upstream: Upstream;
  attempt: Attempt;
}

/** Finds another attempt that goes on with an answer which broke off. */
interface Mender {
  mend(failure: GatewayError, broken: Live): Promise<Live | undefined>;
}

/**
 * The body of the client's response. The charge is in the journal before the last part leaves; a failure is mended, or
 * becomes an error event in the client's dialect; a client that goes away stops the provider.
 */
export async function passOn(
  open: OpenStream,
  stage: Stage,
  upstream: Upstream,
  attempt: Attempt,
  inbound: Countable,
  out: Outlet,
  mender?: Mender,
): Promise<void> {
  for (;;) {
    let failure: GatewayError | undefined;
    let next: Live | undefined;
    let cut = false;
    const { meter } = attempt;
    try {
      try {
        for (const part of open.ready) {
          meter?.passes(part.length);
          if (stage.terminated && !attempt.settled) await settle('ok', attempt, stage, inbound);
          upstream.rest();
          const room = out.write(part);
          if (room !== undefined) await restUntil(room, attempt);
          if (out.gone) return;
        }
        // After the last word nothing may follow: neither bytes nor an error.
        while (!open.done && !stage.terminated && stage.error === undefined) {
          upstream.touch();
          const read = open.reply.read();
          const bytes = read instanceof Promise ? await read : read;
          open.done = bytes === undefined;
          const part = bytes === undefined ? stage.end() : stage.push(bytes);
          if (stage.terminated && !attempt.settled) await settle('ok', attempt, stage, inbound);
          if (part === undefined) continue;
          if (meter?.passes(part.length) && !stage.complete) {
            const looked = meter.look(stage);
            const isBorne = looked instanceof Promise ? await looked : looked;
            const last = isBorne ? undefined : await cutOff(stage, attempt, inbound);
            if (last !== undefined) {
              cut = true;
              out.write(part);
              out.write(last);
              return;
            }
          }
          const over = open.done || stage.error !== undefined;
          // What may be mended is not settled yet.
          if (over && (mender === undefined || failureOf(stage) === undefined))
            await settle(failureOf(stage) ?? 'ok', attempt, stage, inbound);
          // A client that reads slowly keeps the provider waiting, not the other way round.
          upstream.rest();
          const room = out.write(part);
          if (room !== undefined) await restUntil(room, attempt);
          if (out.gone) return;
        }
        failure = failureOf(stage);
      } catch (thrown) {
        failure = upstream.failure(thrown);
      }
      if (failure !== undefined) next = await mender?.mend(failure, { open, stage, upstream, attempt });
      if (next === undefined) {
        await settle(failure ?? 'ok', attempt, stage, inbound);
        if (failure !== undefined && !(failure === stage.error && stage.errorPassed))
          out.write(stage.writeError(failure, attempt.call.id));
      }
    } finally {
      if (open.done) upstream.finish();
      else if (cut) upstream.close();
      else if (stage.terminated) void drain(open.reply, upstream);
      else upstream.close();
      // Still unsettled here: the client went away in the middle.
      settleGone(attempt, stage, inbound);
    }
    if (next === undefined) return;
    ({ open, stage, upstream, attempt } = next);
  }
}

/**
 * The limits bear no more of the answer: it is charged for what has come by now, and ends as one that was long enough.
 * @returns what ends the client's stream; undefined where nothing does: then it goes on, and is counted.
 */
async function cutOff(stage: Stage, attempt: Attempt, inbound: Countable): Promise<Part | undefined> {
  const { gateway } = attempt.call;
  const usage = await inbound.complete(stage.usage, stage, gateway.countTokens);
  const last = stage.cut?.(usage);
  if (last === undefined || attempt.settled) return undefined;
  attempt.begunBy?.ended('ok');
  attempt.settle('ok', usage, true);
  attempt.call.end(200);
  return last;
}

/** A client that reads slowly makes no provider slow. */
export async function restUntil(room: Promise<void>, attempt: Attempt): Promise<void> {
  const sinceMs = performance.now();
  await room;
  attempt.restedMs += performance.now() - sinceMs;
}

/** The answer is complete, the connection not quite at its end: read on for a moment, so that it can be used again. */
export async function drain(reply: Reply, upstream: Upstream): Promise<void> {
  upstream.lastMoment();
  try {
    while ((await reply.read()) !== undefined);
    upstream.finish();
  } catch {
    upstream.close();
  }
}

/** Why the answer is not complete, when the provider's part is over. */
function failureOf(stage: Stage): GatewayError | undefined {
  return stage.error ?? (stage.complete ? undefined : cutShort());
}

/** The client left: also where it did so before a first part could be sent, and nobody reads the body any more. */
export function settleGone(attempt: Attempt, stage: Stage, inbound: Countable): void {
  if (attempt.settled) return;
  // What cannot be written has raised its alarm already.
  settle(clientGone(), attempt, stage, inbound)?.catch(() => {});
}

/** Once; whoever comes later waits for the first. The call is over then, whatever happened. */
function settle(
  end: 'ok' | GatewayError,
  attempt: Attempt,
  stage: Stage,
  inbound: Countable,
): Promise<void> | undefined {
  if (!attempt.settled) attempt.settling ??= settleOnce(end, attempt, stage, inbound);
  return attempt.settling;
}

async function settleOnce(
  end: 'ok' | GatewayError,
  attempt: Attempt,
  stage: Stage,
  inbound: Countable,
): Promise<void> {
  const error = end === 'ok' ? undefined : end;
  attempt.begunBy?.ended(end);
  const final = error === undefined || stage.terminated;
  try {
    const counting = settleCounted(attempt, error?.kind ?? 'ok', stage.usage, final, stage, inbound);
    if (counting !== undefined) await counting;
  } finally {
    attempt.call.end(error?.kind === 'cancelled' ? 499 : 200, error);
  }
}
