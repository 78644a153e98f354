/** What is known of a model under the name that clients use: for lists of models, whatever the dialect. */
import type { ChatRequest } from './chat.ts';
import type { Price } from './money.ts';

export interface ModelCard {
  id: string;
  /** The provider; undefined where several of them stand behind the name. */
  owner: string | undefined;
  /** provider/model of each target behind the name. */
  targets: readonly string[];
  /** Tokens of request and answer together. Undefined: not known, as with all that follows. */
  contextLength: number | undefined;
  /** Tokens of one answer. */
  maxOutput: number | undefined;
  price: Price | undefined;
  /** Members of a request that the targets' language has words for; the model itself may still refuse one. */
  says: ReadonlySet<keyof ChatRequest>;
  /** Kinds of content that can be sent to it, in the same sense: `text`, `image`, `audio`, `video`, `document`. */
  reads: readonly string[];
}
