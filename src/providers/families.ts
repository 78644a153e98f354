/** Model families: how their requests differ from what a dialect says, at whatever host they run. */
import type { DialectName } from '../core/chat.ts';
import type { Quirks } from '../dialects/quirks.ts';

export interface ModelRule {
  match: RegExp;
  quirks?: Quirks;
  /** Written in this dialect where the client's own is not spoken. */
  prefer?: DialectName;
}

/**
 * Claude, by whatever host (`anthropic/claude-opus-4.8` at OpenRouter). Unknown, newer families are taken to be like
 * the newest known one: adaptive thinking only, sampling refused. The output limits are the families' own. Up to 4.5
 * they go on with an answer that is begun for them; from 4.6 on that is refused.
 * https://platform.claude.com/docs/en/about-claude/models/overview
 * https://platform.claude.com/docs/en/about-claude/models/migration-guide
 */
export const claudeModels: readonly ModelRule[] = [
  { match: /claude/, quirks: { thinking: 'adaptive', noSampling: true, defaultMaxTokens: 64_000 } },
  { match: /claude-(opus|sonnet|haiku)-4[-.][678]/, quirks: { defaultMaxTokens: 128_000 } },
  { match: /claude-(opus|sonnet|haiku)-4[-.]6/, quirks: { noSampling: false } },
  // Seen accepted on this model only; elsewhere later instructions are folded into user turns.
  { match: /claude-opus-4[-.]8/, quirks: { systemInMessages: true } },
  {
    match: /claude-(opus|sonnet|haiku)-4[-.]5/,
    quirks: { thinking: 'budget', noSampling: false, continues: 'turn' },
  },
  {
    match: /claude-opus-4[-.]1(?!\d)/,
    quirks: { thinking: 'budget', noSampling: false, defaultMaxTokens: 32_000, continues: 'turn' },
  },
  // `claude-sonnet-4`, `-4-0`, `-4-20250514`
  {
    match: /claude-(opus|sonnet)-4($|[-.:@]0$|[-@]\d{8}|:)/,
    quirks: { thinking: 'budget', noSampling: false, schemaByTool: true, continues: 'turn' },
  },
  { match: /claude-opus-4($|[-.:@]0$|[-@]\d{8}|:)/, quirks: { defaultMaxTokens: 32_000 } },
  {
    match: /claude-([123][-.]|v?[12]|instant|3)/,
    quirks: {
      thinking: 'budget',
      noSampling: false,
      schemaByTool: true,
      defaultMaxTokens: 4096,
      continues: 'turn',
    },
  },
  { match: /claude-3[-.]5/, quirks: { defaultMaxTokens: 8192 } },
  { match: /claude-3[-.]7/, quirks: { defaultMaxTokens: 64_000 } },
];

/**
 * OpenAI's reasoning models refuse `max_tokens`, and sampling parameters while they reason: always (o-series, gpt-5,
 * -pro, -chat, 5.1-codex) or unless told not to (5.5 and later). 5.1 to 5.4 do not reason unless asked.
 */
const openaiModels: readonly ModelRule[] = [
  // Words for effort grew with the models. https://platform.openai.com/docs/guides/reasoning
  { match: /^(openai[/.])?o\d/, quirks: { efforts: ['low', 'medium', 'high'] } },
  { match: /^(openai[/.])?gpt-5(?!\.|-chat)/, quirks: { efforts: ['minimal', 'low', 'medium', 'high'] } },
  { match: /^(openai[/.])?gpt-5\.1/, quirks: { efforts: ['none', 'low', 'medium', 'high'] } },
  { match: /^(openai[/.])?gpt-5\.[2-5]/, quirks: { efforts: ['none', 'low', 'medium', 'high', 'xhigh'] } },
  {
    // Refuses tools in Chat Completions.
    match: /^(openai[/.])?gpt-5\.6/,
    quirks: { efforts: ['none', 'low', 'medium', 'high', 'xhigh', 'max'], toolsIn: 'openai-responses' },
  },
  { match: /^(openai[/.])?(o\d|gpt-([5-9]|\d\d))/, quirks: { limitMember: 'max_completion_tokens' } },
  {
    match:
      /^(openai[/.])?(o\d|gpt-5(?!\.[1-4]|-chat)|gpt-5\.[1-4]-(pro|chat)|gpt-5\.1-codex|gpt-([6-9]|\d\d))/,
    quirks: { noSampling: true },
  },
];

/** Tools while reasoning, and summaries of what was thought, are had by Responses only. */
export const openaiPreferences: readonly ModelRule[] = [
  ...openaiModels,
  { match: /^(openai[/.])?(o\d|gpt-([5-9]|\d\d))/, prefer: 'openai-responses' },
];

/** Not those that only Responses serves, nor those from before chat. https://platform.openai.com/docs/models */
export const chatModels =
  /^(?!(o\d|gpt-\d[.\d]*)-(pro|codex)|o\d.*-deep-research|codex-|computer-use|gpt-3\.5-turbo-instruct|babbage|davinci)/;

/** Thinking mode wants its reasoning back on every replayed turn. https://api-docs.deepseek.com/guides/thinking_mode */
export const deepseekModels: readonly ModelRule[] = [
  {
    match: /deepseek-(v[4-9]|flash|pro|reasoner)/i,
    quirks: { replayReasoning: 'reasoning_content', thinkingSwitch: true, noForcedThinking: true },
  },
  { match: /vision/i, quirks: { textOnly: false } },
];

/** GLM and Kimi think unless told otherwise. https://docs.z.ai/guides/capabilities/thinking-mode */
export const switchedModels: readonly ModelRule[] = [
  { match: /glm-(4\.[5-9]|[5-9])|kimi-(k2\.[5-9]|k[3-9])/i, quirks: { thinkingSwitch: true } },
];

/**
 * Gemini. Unknown, newer families are taken to be like the newest known one: thinking by level. Pro models cannot do
 * without it. https://ai.google.dev/gemini-api/docs/thinking
 */
const geminiModels: readonly ModelRule[] = [
  { match: /gemini/, quirks: { thinking: 'level', noPenalties: true } },
  // These have no word for the least of thinking.
  { match: /gemini-(\d[.\d]*-pro|pro-latest|3\.7-flash)/, quirks: { efforts: ['low', 'medium', 'high'] } },
  {
    match: /gemini-2\.5/,
    quirks: { thinking: 'budget', budgetRange: [0, 24_576], noSchemaWithTools: true },
  },
  { match: /gemini-2\.5-flash-lite/, quirks: { budgetRange: [512, 24_576] } },
  { match: /gemini-2\.5-pro/, quirks: { budgetRange: [128, 32_768], alwaysThinks: true } },
  {
    match: /gemini-(2\.0|1\.|2\.5-flash-image)|gemma/,
    quirks: { thinking: 'none', noPenalties: false, noSchemaWithTools: true },
  },
  // Seen to go on with a last turn of their own; from 3.5 on that is refused ("Requests ending with a model turn").
  { match: /gemini-(2\.[05]|3\.1)-flash/, quirks: { continues: 'turn' } },
];

/** Rules of model families that hold at any host, for providers without rules of their own. */
export const familyRules: readonly ModelRule[] = [...claudeModels, ...openaiModels, ...geminiModels];

/** Servers of open models: chat templates know no `developer`, and the older word for the limit is understood by all. */
export const openModels: Quirks = { limitMember: 'max_tokens', noDeveloperRole: true };

/** Mistral's reference knows neither `developer` nor `stream_options`; usage comes unasked. */
export const mistral: Quirks = {
  ...openModels,
  noStreamOptions: true,
  toolIds: /^[A-Za-z0-9]{9}$/,
  rename: { seed: 'random_seed' },
  // https://docs.mistral.ai/capabilities/completion/prefix/
  continues: 'prefix',
};
