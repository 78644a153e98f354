/** Answers whose form was asked for in words only: read whole, whatever the client wants, checked, and then told. */
import type { ChatEvent, ChatResponse } from '../core/chat.ts';
import { GatewayError } from '../core/error.ts';
import { fold } from '../core/fold.ts';
import { unfold } from '../core/unfold.ts';
import type { Answer } from '../wire/http/server/messages.ts';
import type { Attempt } from './attempt.ts';
import { checkForm, notInForm } from './by-instruction.ts';
import { settleCounted } from './estimate.ts';
import { maxWholeBytes, readBytes } from './read-reply.ts';
import type { Reply } from './reply.ts';
import { answerHeaders } from './respond.ts';
import { TranslateStage } from './stages.ts';
import { cutShort, drain } from './stream.ts';
import type { Tries } from './tries.ts';
import type { Upstream } from './upstream.ts';
import { answerText, readAnswer } from './whole.ts';

/** @throws GatewayError `upstream_invalid` when the answer is not in the form; the tries know then what to say next. */
export async function answerChecked(
  reply: Reply,
  tries: Tries,
  attempt: Attempt,
  upstream: Upstream,
): Promise<Answer> {
  const { inbound, outbound, call } = tries;
  const answer = inbound.peek.stream
    ? await collect(reply, tries, attempt, upstream)
    : await readWhole(reply, tries, upstream);
  attempt.meaningful();
  const said = answerText(answer);
  const { schemas } = call.gateway;
  const fault = await checkForm(answer, outbound.form!, schemas);
  // Wrong or right, it was written, and is paid for.
  const outcome = fault === undefined ? 'ok' : 'upstream_invalid';
  const counting = settleCounted(attempt, outcome, answer.usage, true, { text: () => said }, inbound);
  if (counting !== undefined) await counting;
  if (fault !== undefined) {
    tries.correct(fault);
    throw notInForm(outbound.target.id, fault);
  }
  tries.succeeded();
  call.end(200);
  return tell(answer, tries, attempt);
}

async function readWhole(
  reply: Reply,
  { inbound, outbound }: Tries,
  upstream: Upstream,
): Promise<ChatResponse> {
  const bytes = await readBytes(reply, upstream);
  upstream.finish();
  return readAnswer(bytes, outbound, inbound);
}

/** A stream to its end, as the answer it spells. */
async function collect(
  reply: Reply,
  { inbound, outbound }: Tries,
  attempt: Attempt,
  upstream: Upstream,
): Promise<ChatResponse> {
  const events: ChatEvent[] = [];
  const writer = { push: (event: ChatEvent) => void events.push(event) };
  const stage = new TranslateStage(inbound.dialect, outbound, writer, inbound.remember);
  attempt.heard = stage;
  let size = 0;
  let done = false;
  while (!done && !stage.terminated) {
    const bytes = await reply.read();
    done = bytes === undefined;
    if (bytes === undefined) stage.end();
    else {
      upstream.touch();
      size += bytes.length;
      stage.push(bytes);
    }
    if (stage.error !== undefined) throw stage.error;
    if (stage.meaningful) attempt.meaningful();
    if (size > maxWholeBytes) throw tooLarge();
  }
  if (!stage.complete) throw cutShort();
  if (done) upstream.finish();
  else void drain(reply, upstream);
  return fold(events, outbound.endpoint.dialect.name);
}

function tooLarge(): GatewayError {
  return new GatewayError('upstream_invalid', `The provider's answer is larger than ${maxWholeBytes} bytes.`);
}

function tell(answer: ChatResponse, { inbound }: Tries, attempt: Attempt): Answer {
  const { dialect, peek, wish } = inbound;
  if (!peek.stream) {
    const headers = answerHeaders(attempt, 'application/json', true);
    return { status: 200, headers, body: JSON.stringify(dialect.writeResponse(answer, wish)) };
  }
  let text = '';
  const writer = dialect.writeStream((piece) => {
    text += piece;
  }, wish);
  for (const event of unfold(answer)) writer.push(event);
  const headers = answerHeaders(attempt, 'text/event-stream; charset=utf-8', false);
  headers['cache-control'] = 'no-cache';
  return { status: 200, headers, body: text };
}
