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
  /** A message was put before all others: places in the request count one more than the client's. */
  shifted: boolean;
}

/**
 * @param own the target speaks the client's dialect: only what its host wants otherwise is changed.
 * @throws GatewayError `bad_request` for a schema beyond all bounds.
 */
export function adaptRequest(request: ChatRequest, can: Expressible, quirks: Quirks, own: boolean): Adapted {
  const instructed = instruct(request, can, quirks);
  const fitted = fitToolWords(instructed?.request ?? request, {
    names: own ? undefined : can.toolNames,
    ids: quirks.toolIds ?? (own ? undefined : can.toolIds),
  });
  return {
    request: fitted.request,
    names: fitted.names,
    form: instructed?.form,
    shifted: instructed?.first ?? false,
  };
}
