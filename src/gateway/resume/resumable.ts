/** Which streams may be gone on with when they break off, and what these pass on their way to the client. */
import type { AnswerWish } from '../../dialects/dialect.ts';
import type { Inbound } from '../render.ts';
import { type Stage, TranslateStage } from '../stages.ts';
import type { Tries } from '../tries.ts';
import { ClientStream } from './client-stream.ts';
import { KeptRelay } from './kept-relay.ts';

/** Whether the route wants a stream that breaks off to be gone on with. One answer at a time is. */
export function resumes({ options, inbound }: Tries): boolean {
  return options.resume !== undefined && options.resume !== 'never' && inbound.peek.answers <= 1;
}

/** What a stream passes that may be gone on with. */
export function resumableStage(
  { inbound, outbound }: Tries,
  wishOf: (inbound: Inbound) => AnswerWish,
): Stage {
  const { dialect } = inbound;
  return outbound.relay
    ? new KeptRelay(dialect, outbound, () => wishOf(inbound), true)
    : new TranslateStage(dialect, outbound, new ClientStream(dialect, wishOf(inbound)), inbound.remember);
}
