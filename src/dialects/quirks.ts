/** How a provider or a model family differs from its dialect, as data: providers/catalog.ts says who has which. */
import type { Effort } from '../core/chat.ts';

export interface Quirks {
  // Any dialect
  /** Top-level request members that are refused: left out. */
  drop?: readonly string[];
  /** Top-level request members under another name: `{ seed: 'random_seed' }`. */
  rename?: Readonly<Record<string, string>>;
  /** Output limit to send when the client gave none and the dialect requires one. */
  defaultMaxTokens?: number;
  /** Sampling parameters (temperature, top_p, top_k) are refused: left out. */
  noSampling?: boolean;

  // openai-chat
  /** The member that carries the output limit. Default: whichever the client used, `max_completion_tokens` when translated. */
  limitMember?: 'max_tokens' | 'max_completion_tokens';
  /** Does not know the role `developer`. */
  noDeveloperRole?: boolean;
  /** Does not know `stream_options`; sends usage unasked, or not at all. */
  noStreamOptions?: boolean;
  /** Message content must be plain strings: no images, no parts. */
  textOnly?: boolean;
  /** Structured output is `json_object` only: the schema goes into the instructions. */
  noJsonSchema?: boolean;
  /** Word for "must call a tool", where it is not `required`. */
  requiredWord?: string;
  /** Member in which an assistant turn's reasoning is sent back; none by default. */
  replayReasoning?: 'reasoning_content' | 'reasoning';
  /** Words for `reasoning_effort` it knows; others become the nearest. Default: as sent, `low medium high` when translated. */
  efforts?: readonly Effort[];
  /** `completion_tokens` leaves reasoning out. */
  outputExcludesReasoning?: boolean;
  /** Tool call ids must be exactly nine letters or digits. */
  shortToolIds?: boolean;

  // anthropic-messages
  /** How reasoning is asked for: a token budget (default) or adaptive thinking with an effort. */
  thinking?: 'budget' | 'adaptive';
  /** Knows no `output_config.format`: structured output by a forced tool, unwrapped again. */
  schemaByTool?: boolean;
  /** Accepts `role: system` inside messages; otherwise later instructions are folded into user turns. */
  systemInMessages?: boolean;
}
