/** A streamed answer: held until it means something, then passed on part by part, and never ended in silence. */
import { GatewayError } from '../core/error.ts';
import type { Attempt } from './call.ts';
import { settleCounted } from './estimate.ts';
import type { Inbound } from './render.ts';
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
export async function openStream(
  reply: Reply,
  stage: Stage,
  upstream: Upstream,
  attempt: Attempt,
): Promise<OpenStream> {
  const open: OpenStream = { ready: [], reply, done: false };
  try {
    while (!stage.meaningful && !open.done) {
      const read = reply.read();
      const bytes = read instanceof Promise ? await read : read;
      open.done = bytes === undefined;
      if (bytes !== undefined) upstream.touch();
      const part = bytes === undefined ? stage.end() : stage.push(bytes);
      if (stage.error !== undefined) throw stage.error;
      if (part !== undefined) open.ready.push(part);
    }
  } catch (thrown) {
    throw upstream.failure(thrown);
  }
  if (!stage.meaningful) throw cutShort();
  attempt.meaningful();
  return open;
}

function cutShort(): GatewayError {
  return new GatewayError(
    'upstream_invalid',
    'The provider ended its stream before the answer was complete.',
  );
}

/**
 * The body of the client's response. The charge is in the journal before the last part leaves; a failure becomes an
 * error event in the client's dialect; a client that goes away stops the provider.
 */
export async function* passOn(
  open: OpenStream,
  stage: Stage,
  upstream: Upstream,
  attempt: Attempt,
  inbound: Inbound,
): AsyncGenerator<Part> {
  const { call } = attempt;
  try {
    for (const part of open.ready) {
      if (stage.terminated && !attempt.settled) await settle('ok', attempt, stage, inbound);
      yield part;
    }
    while (!open.done && stage.error === undefined) {
      const read = open.reply.read();
      const bytes = read instanceof Promise ? await read : read;
      open.done = bytes === undefined;
      if (bytes !== undefined) upstream.touch();
      const part = bytes === undefined ? stage.end() : stage.push(bytes);
      if (stage.terminated && !attempt.settled) await settle('ok', attempt, stage, inbound);
      if (part !== undefined && (stage.error === undefined || stage.errorPassed)) {
        if (open.done || stage.error !== undefined) await conclude(attempt, stage, inbound);
        yield part;
      }
    }
    const failure = await conclude(attempt, stage, inbound);
    if (failure !== undefined && !(stage.error !== undefined && stage.errorPassed)) {
      yield inbound.dialect.writeStreamError(failure, call.id);
    }
  } catch (thrown) {
    const failure = upstream.failure(thrown);
    await settle(failure, attempt, stage, inbound);
    yield inbound.dialect.writeStreamError(failure, call.id);
  } finally {
    if (open.done) upstream.finish();
    else upstream.close();
    // Still unsettled here: the client went away in the middle.
    if (!attempt.settled) void settle(gone(), attempt, stage, inbound);
  }
}

/** The provider's part is over: settled as what it was. @returns the failure, if it was one. */
async function conclude(attempt: Attempt, stage: Stage, inbound: Inbound): Promise<GatewayError | undefined> {
  const failure = stage.error ?? (stage.complete ? undefined : cutShort());
  await settle(failure ?? 'ok', attempt, stage, inbound);
  return failure;
}

async function settle(
  end: 'ok' | GatewayError,
  attempt: Attempt,
  stage: Stage,
  inbound: Inbound,
): Promise<void> {
  if (attempt.settled) return;
  const error = end === 'ok' ? undefined : end;
  const final = error === undefined || stage.terminated;
  await settleCounted(attempt, error?.kind ?? 'ok', stage.usage, final, stage, inbound);
  attempt.call.end(error?.kind === 'cancelled' ? 499 : 200, error);
}

function gone(): GatewayError {
  return new GatewayError('cancelled', 'The client went away.');
}
