/** By which way a chat call is answered: one attempt at a time, several for several answers, or two against lateness. */
import type { Answer } from '../wire/http/server/messages.ts';
import { answerOnce } from './answer-once.ts';
import { answerCopies } from './copies.ts';
import { answerHedged } from './hedge.ts';
import type { Tries } from './tries.ts';

/** @throws GatewayError when no provider that was asked answered: nothing has reached the client then. */
export function answer(tries: Tries): Promise<Answer> {
  const { outbound, hedge } = tries;
  if ((outbound.copies ?? 1) > 1) return answerCopies(tries);
  return hedge === undefined || outbound.form !== undefined ? answerOnce(tries) : answerHedged(tries, hedge);
}
