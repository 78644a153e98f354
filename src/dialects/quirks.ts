/** How a provider or a model family differs from its dialect, as data: providers/catalog.ts says who has which. */
import type { DialectName, Effort } from '../core/chat.ts';

export interface Quirks {
  // Any dialect
  /** Top-level request members that are refused: left out. */
  drop?: readonly string[];
  /** Top-level request members under another name: `{ seed: 'random_seed' }`. */
  rename?: Readonly<Record<string, string>>;
  /** Output limit to send when the client gave none and the dialect requires one. */
  defaultMaxTokens?: number;
  /** Takes tools in this dialect only, where it speaks several. */
  toolsIn?: DialectName;
  /** Gives one answer to a call, whatever its dialect could say: more are asked for one by one. */
  oneAnswer?: boolean;
  /** Sampling parameters (temperature, top_p, top_k) are refused: left out. */
  noSampling?: boolean;
  /** Cannot be held to a JSON Schema: it is told the schema in words, and its answers are checked. */
  noJsonSchema?: boolean;
  /**
   * Goes on with an answer whose beginning is the last turn, instead of beginning a new one: in all dialects but Chat
   * Completions (`turn`), in all that have turns (`any-turn`), or only where a Chat Completions request says so, in that
   * message (`prefix: true`; the answer may begin with it once more) or beside it (`continue_final_message`: `flag`).
   */
  continues?: 'turn' | 'any-turn' | 'prefix' | 'flag' | undefined;
  /** Ids a tool call may have, where they are not those of the dialect: others are rewritten on the way. */
  toolIds?: RegExp;

  // openai-chat
  /** The member that carries the output limit. Default: whichever the client used, `max_completion_tokens` when translated. */
  limitMember?: 'max_tokens' | 'max_completion_tokens';
  /** Does not know the role `developer`. */
  noDeveloperRole?: boolean;
  /** Does not know `stream_options`; sends usage unasked, or not at all. */
  noStreamOptions?: boolean;
  /** Message content must be plain strings: no images, no parts. */
  textOnly?: boolean;
  /** Word for "must call a tool", where it is not `required`. */
  requiredWord?: string;
  /** Member in which an assistant turn's reasoning is sent back; none by default. */
  replayReasoning?: 'reasoning_content' | 'reasoning';
  /** Words for `reasoning_effort` it knows; others become the nearest. Default: as sent, `low medium high` when translated. */
  efforts?: readonly Effort[];
  /** Thinks unless told otherwise, by a member of its own: `thinking: { type: 'disabled' }`. */
  thinkingSwitch?: boolean;
  /** Refuses to be forced to call a tool while it thinks: then it does not think. */
  noForcedThinking?: boolean;
  /** `completion_tokens` leaves reasoning out. */
  outputExcludesReasoning?: boolean;

  // anthropic-messages, bedrock-converse, gemini
  /**
   * How the model is asked to reason: a token budget (default), adaptive thinking with an effort (Claude), a level
   * (Gemini, from 3 on: those also want their signatures back, and read media in tool results), or not at all.
   */
  thinking?: 'budget' | 'adaptive' | 'level' | 'none';
  /** Knows no answer by a schema, nor strict tools: structured output by a forced tool, unwrapped again. */
  schemaByTool?: boolean;

  // anthropic-messages
  /** Accepts `role: system` inside messages; otherwise later instructions are folded into user turns. */
  systemInMessages?: boolean;

  // gemini
  /** The smallest and the largest budget of thinking tokens. */
  budgetRange?: readonly [least: number, most: number];
  /** Thinking cannot be switched off. */
  alwaysThinks?: boolean;
  /** Presence and frequency penalties are refused: left out. */
  noPenalties?: boolean;
  /** A form for the answer and functions exclude each other. */
  noSchemaWithTools?: boolean;
  /** Does not know ids of function calls: matched by order. */
  noCallIds?: boolean;
  /** Asked for embeddings one by one, of older models by `:predict`, as at Vertex AI. */
  predicts?: boolean;

  // openai-responses
  /** Keeps no answers: the gateway does, for clients that go on from them by id. */
  keepsNothing?: boolean;
}
