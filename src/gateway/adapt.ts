/** A request as a target's writer gets it: in words that its dialect and its host accept. */
import type { ChatRequest, OutputFormat } from '../core/chat.ts';
import type { Expressible } from '../core/loss.ts';
import { fitToolWords } from '../core/tool-words.ts';
import type { Quirks } from '../dialects/quirks.ts';
import { instruct } from './by-instruction.ts';

export interface Adapted {
  request: ChatRequest;
  /** The client's own name of each tool that the target knows by another; undefined when there is none. */
  names: ReadonlyMap<string, string> | undefined;
  /** What the answer has to be, where nothing but words asks for it: then it is checked. */
  form: OutputFormat | undefined;
  /** How many times it is to be asked: the target gives one answer at a time, and the client wants more. */
  copies: number;
  /** A message was put before all others: places in the request count one more than the client's. */
  shifted: boolean;
}

/**
 * @param own the target speaks the client's dialect: only what its host wants otherwise is changed.
 * @throws GatewayError `bad_request` for a schema beyond all bounds.
 */
export function adaptRequest(asked: ChatRequest, can: Expressible, quirks: Quirks, own: boolean): Adapted {
  const copies = copiesOf(asked, can, quirks);
  const request = copies > 1 ? { ...asked, n: undefined } : asked;
  const instructed = instruct(request, can, quirks);
  const fitted = fitToolWords(instructed?.request ?? request, {
    names: own ? undefined : can.toolNames,
    ids: quirks.toolIds ?? (own ? undefined : can.toolIds),
  });
  return {
    request: fitted.request,
    names: fitted.names,
    form: instructed?.form,
    copies,
    shifted: instructed?.first ?? false,
  };
}

/** More at once is a load nobody means to make; then the wish is a loss of meaning like any other. */
const maxCopies = 16;

/** How many attempts make `n` answers, each asked for one of them; 1: one attempt makes them all. */
export function copiesOf({ n = 1 }: Pick<ChatRequest, 'n'>, can: Expressible, { oneAnswer }: Quirks): number {
  return n > maxCopies || (can.params.has('n') && !oneAnswer) ? 1 : n;
}
