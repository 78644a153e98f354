/**
 * Several answers from a target that gives one at a time: as many attempts at once, each recorded and charged by
 * itself, told to the client as the choices of one answer.
 */
import type { ChatEvent, ChatResponse } from '../core/chat.ts';
import { clientGone, type GatewayError, toGatewayError } from '../core/error.ts';
import { sumUsage, type Usage } from '../core/usage.ts';
import type { StreamWriter } from '../dialects/dialect.ts';
import type { Answer } from '../wire/http/server/messages.ts';
import type { Attempt } from './attempt.ts';
import { checkForm, notInForm } from './by-instruction.ts';
import { settleCounted } from './estimate.ts';
import { reach } from './reach.ts';
import { readBytes } from './read-reply.ts';
import type { Inbound } from './render.ts';
import { requireEvents } from './require-events.ts';
import { answerHeaders } from './respond.ts';
import { TranslateStage } from './stages.ts';
import { cutShort, drain, openStream, restUntil } from './stream.ts';
import type { Tries } from './tries.ts';
import { Upstream } from './upstream.ts';
import { answerText, readAnswer } from './whole.ts';

/** One of the attempts. */
class Copy {
  /** What of a streamed answer has come. */
  stage: TranslateStage | undefined;
  /** Why it came to nothing. */
  private error: GatewayError | undefined;

  constructor(
    readonly attempt: Attempt,
    readonly upstream: Upstream,
  ) {}

  /** @throws GatewayError what `work` fails with, and remembers it. */
  async run<Result>(work: () => Promise<Result>): Promise<Result> {
    try {
      return await work();
    } catch (thrown) {
      this.error = this.upstream.failure(thrown);
      throw this.error;
    }
  }

  /** Stops it, if it still runs; what it has used by then is counted. */
  async giveUp(error: GatewayError, inbound: Inbound): Promise<void> {
    const { attempt, stage } = this;
    this.upstream.close();
    if (attempt.settled) return;
    const why = this.error ?? error;
    if (this.error !== undefined && stage?.usage === undefined && this.error.kind !== 'cancelled')
      attempt.fail(this.error);
    // Whoever was stopped because of another was asked, and is paid for.
    else
      await settleCounted(
        attempt,
        this.error === undefined ? 'cancelled' : why.kind,
        stage?.usage,
        false,
        stage,
        inbound,
      );
  }
}

/** @throws GatewayError when one of them fails before anything has reached the client: then all are given up. */
export async function answerCopies(tries: Tries): Promise<Answer> {
  const { call, inbound, outbound, request } = tries;
  const copies: Copy[] = [];
  try {
    for (let i = 0; i < (outbound.copies ?? 1); i++) {
      const attempt = call.dispatch(outbound, inbound.peek.stream);
      copies.push(
        new Copy(attempt, new Upstream(outbound, call.gateway.deadlines, request, tries.options.timeouts)),
      );
    }
    return inbound.peek.stream && outbound.form === undefined
      ? await answerStreams(copies, tries)
      : await answerWholes(copies, tries);
  } catch (thrown) {
    call.answeredBy = undefined;
    await giveUp(copies, toGatewayError(thrown), tries);
    throw thrown;
  }
}

async function giveUp(copies: readonly Copy[], error: GatewayError, { inbound }: Tries): Promise<void> {
  await Promise.all(copies.map((copy) => copy.giveUp(error, inbound)));
}

// Whole

async function answerWholes(copies: readonly Copy[], tries: Tries): Promise<Answer> {
  const answers = await Promise.all(copies.map((copy) => copy.run(() => readCopy(copy, tries))));
  const { inbound, call } = tries;
  const [first] = answers;
  const all: ChatResponse = {
    ...first!,
    choices: answers.flatMap(({ choices }, index) =>
      choices.slice(0, 1).map((choice) => ({ ...choice, index })),
    ),
  };
  const used = answers.flatMap(({ usage }) => usage ?? []);
  if (used.length > 0) all.usage = sumUsage(used);
  tries.succeeded();
  call.end(200);
  const headers = answerHeaders(copies[0]!.attempt, 'application/json', true);
  return { status: 200, headers, body: JSON.stringify(inbound.dialect.writeResponse(all, inbound.wish)) };
}

async function readCopy(copy: Copy, tries: Tries): Promise<ChatResponse> {
  const { inbound, outbound, call } = tries;
  const reply = await reach(tries, copy.attempt, copy.upstream);
  const bytes = await readBytes(reply, copy.upstream);
  copy.upstream.finish();
  const answer = readAnswer(bytes, outbound, inbound);
  copy.attempt.meaningful();
  const said = answerText(answer);
  const fault = outbound.form && (await checkForm(answer, outbound.form, call.gateway.schemas));
  const outcome = fault === undefined ? 'ok' : 'upstream_invalid';
  await settleCounted(copy.attempt, outcome, answer.usage, true, { text: () => said }, inbound);
  if (fault !== undefined) throw notInForm(outbound.target.id, fault);
  return answer;
}

// Streamed

/** Makes one stream of several: each is a choice, and what is said of the whole is said once. */
class Merger {
  private out = '';
  private begun = false;
  private readonly used: Usage[] = [];
  private readonly writer: StreamWriter;
  private wake = () => {};
  private room = () => {};

  constructor(private readonly tries: Tries) {
    const { dialect, wish } = tries.inbound;
    this.writer = dialect.writeStream((text) => {
      this.out += text;
      this.wake();
    }, wish);
  }

  /** What the events of one of them are written with. */
  choice(index: number): StreamWriter {
    return {
      push: (event) => {
        if (event.type === 'usage') this.used[index] = event.usage;
        else if (event.type === 'start') this.start(event);
        else if (event.type !== 'end' && event.type !== 'error')
          this.writer.push({ ...event, choice: index });
      },
    };
  }

  private start(event: Extract<ChatEvent, { type: 'start' }>): void {
    if (this.begun) return;
    this.begun = true;
    this.writer.push(event);
  }

  /** All have come to their end. */
  end(): void {
    const used = this.used.filter((usage) => usage !== undefined);
    if (used.length > 0) this.writer.push({ type: 'usage', usage: sumUsage(used) });
    this.writer.push({ type: 'end' });
  }

  writeError(error: GatewayError): string {
    const { call, inbound } = this.tries;
    return this.writer.writeError?.(error, call.id) ?? inbound.dialect.writeStreamError(error, call.id);
  }

  get full(): boolean {
    return this.out.length > maxWaitingChars;
  }

  /** Resolves when the client has taken what waits for it. */
  taken(): Promise<void> {
    return new Promise((resolve) => {
      const before = this.room;
      this.room = () => {
        before();
        resolve();
      };
    });
  }

  take(): string {
    const text = this.out;
    this.out = '';
    this.room();
    this.room = () => {};
    return text;
  }

  /** Resolves when there is something to take, or `over` has come. */
  async something(over: Promise<void>): Promise<void> {
    if (this.out !== '') return;
    const written = new Promise<void>((resolve) => {
      this.wake = resolve;
    });
    await Promise.race([written, over]);
  }
}

/** A client that reads slowly keeps the providers waiting. */
const maxWaitingChars = 256 * 1024;

async function answerStreams(copies: readonly Copy[], tries: Tries): Promise<Answer> {
  const merger = new Merger(tries);
  const pumps = await Promise.all(
    copies.map((copy, index) => copy.run(() => openCopy(copy, merger, index, tries))),
  );
  tries.begun();
  const { call, inbound } = tries;
  const leave = (): void => {
    tries.ended(clientGone());
    void giveUp(copies, clientGone(), tries).finally(() => call.end(499, clientGone()));
  };
  for (const { upstream } of copies) upstream.onGone = leave;
  const body = passCopies(copies, pumps, merger, tries, leave);
  const type = inbound.peek.array ? 'application/json' : 'text/event-stream; charset=utf-8';
  const headers = answerHeaders(copies[0]!.attempt, type, false);
  headers['cache-control'] = 'no-cache';
  return { status: 200, headers, body };
}

/** @returns what reads the rest of it. @throws GatewayError when it ends before it means anything. */
async function openCopy(
  copy: Copy,
  merger: Merger,
  index: number,
  tries: Tries,
): Promise<() => Promise<void>> {
  const { attempt, upstream } = copy;
  const { inbound, outbound } = tries;
  const reply = await reach(tries, attempt, upstream);
  await requireEvents(reply, tries, attempt, upstream);
  const stage = new TranslateStage(inbound.dialect, outbound, merger.choice(index), inbound.remember);
  copy.stage = stage;
  const open = await openStream(reply, stage, attempt);
  return async () => {
    while (!open.done && !stage.terminated) {
      if (merger.full) {
        upstream.rest();
        await restUntil(merger.taken(), attempt);
      }
      upstream.touch();
      const bytes = await reply.read();
      open.done = bytes === undefined;
      if (bytes === undefined) stage.end();
      else stage.push(bytes);
      if (stage.error !== undefined) throw stage.error;
    }
    if (!stage.complete) throw cutShort();
    if (open.done) upstream.finish();
    else void drain(reply, upstream);
    await settleCounted(attempt, 'ok', stage.usage, true, stage, inbound);
  };
}

async function* passCopies(
  copies: readonly Copy[],
  pumps: readonly (() => Promise<void>)[],
  merger: Merger,
  tries: Tries,
  leave: () => void,
): AsyncGenerator<string> {
  const { call } = tries;
  let failure: GatewayError | undefined;
  let over = false;
  const done = Promise.all(copies.map((copy, i) => copy.run(pumps[i]!))).then(
    () => merger.end(),
    (thrown: unknown) => {
      failure = toGatewayError(thrown);
    },
  );
  const ended = done.then(() => {
    over = true;
  });
  let finished = false;
  try {
    while (!over) {
      await merger.something(ended);
      if (!over) yield merger.take();
    }
    tries.ended(failure ?? 'ok');
    if (failure !== undefined) await giveUp(copies, failure, tries);
    // The charges are in the journal before the last words leave.
    call.end(failure?.kind === 'cancelled' ? 499 : 200, failure);
    finished = true;
    yield merger.take() + (failure === undefined ? '' : merger.writeError(failure));
  } finally {
    if (!finished) leave();
  }
}
