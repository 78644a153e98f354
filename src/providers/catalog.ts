/** The catalogue: whom Sluice knows how to call. Data only; a new provider is one entry, in alphabetical order. */
import type { DialectName } from '../core/chat.ts';
import type { Quirks } from '../dialects/quirks.ts';
import type { AuthScheme } from './auth.ts';

export interface CatalogueEntry {
  /** Variables that usually hold its key, the first set one counts. */
  env: readonly string[];
  /** Dialect → base URL (the dialect's path is appended), the preferred dialect first. */
  speaks: Readonly<Partial<Record<DialectName, string>>>;
  /** How the key is sent; default: bearer. */
  auth?: AuthScheme;
  /** Needs no key: it is on when configured, or when one of `env` or `urlEnv` is set. */
  keyless?: boolean;
  /** Variable that says where a local server listens. */
  urlEnv?: string;
  /** Differences of the provider from its dialects. */
  quirks?: Quirks;
  /** Differences of model families; later rules win over earlier ones and over `quirks`. */
  models?: readonly ModelRule[];
  /** Some of its models, for lists; any other may be asked for too. */
  known?: readonly string[];
  /** Its id in the price list (genai-prices); absent: no prices are known. */
  prices?: string;
  /** Made-up prices in USD per million tokens, for a provider that bills nobody. */
  price?: { input: number; output: number };
  /** Static headers of every call. */
  headers?: Readonly<Record<string, string>>;
}

interface ModelRule {
  match: RegExp;
  quirks: Quirks;
}

/**
 * Claude, by whatever host (`anthropic/claude-opus-4.8` at OpenRouter). Unknown, newer families are taken to be like
 * the newest known one: adaptive thinking only, sampling refused. The output limits are the families' own.
 * https://platform.claude.com/docs/en/about-claude/models/overview
 */
const claude: readonly ModelRule[] = [
  { match: /claude/, quirks: { thinking: 'adaptive', noSampling: true, defaultMaxTokens: 64_000 } },
  { match: /claude-(opus|sonnet|haiku)-4[-.][678]/, quirks: { defaultMaxTokens: 128_000 } },
  { match: /claude-(opus|sonnet|haiku)-4[-.]6/, quirks: { noSampling: false } },
  // Seen accepted on this model only; elsewhere later instructions are folded into user turns.
  { match: /claude-opus-4[-.]8/, quirks: { systemInMessages: true } },
  { match: /claude-(opus|sonnet|haiku)-4[-.]5/, quirks: { thinking: 'budget', noSampling: false } },
  {
    match: /claude-opus-4[-.]1(?!\d)/,
    quirks: { thinking: 'budget', noSampling: false, defaultMaxTokens: 32_000 },
  },
  // `claude-sonnet-4`, `-4-0`, `-4-20250514`
  {
    match: /claude-(opus|sonnet)-4($|[-.:@]0$|[-@]\d{8}|:)/,
    quirks: { thinking: 'budget', noSampling: false, schemaByTool: true },
  },
  { match: /claude-opus-4($|[-.:@]0$|[-@]\d{8}|:)/, quirks: { defaultMaxTokens: 32_000 } },
  {
    match: /claude-([123][-.]|v?[12]|instant|3)/,
    quirks: { thinking: 'budget', noSampling: false, schemaByTool: true, defaultMaxTokens: 4096 },
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
  { match: /^(openai\/)?o\d/, quirks: { efforts: ['low', 'medium', 'high'] } },
  { match: /^(openai\/)?gpt-5(?!\.|-chat)/, quirks: { efforts: ['minimal', 'low', 'medium', 'high'] } },
  { match: /^(openai\/)?gpt-5\.1/, quirks: { efforts: ['none', 'low', 'medium', 'high'] } },
  { match: /^(openai\/)?gpt-5\.[2-5]/, quirks: { efforts: ['none', 'low', 'medium', 'high', 'xhigh'] } },
  { match: /^(openai\/)?gpt-5\.6/, quirks: { efforts: ['none', 'low', 'medium', 'high', 'xhigh', 'max'] } },
  { match: /^(openai\/)?(o\d|gpt-([5-9]|\d\d))/, quirks: { limitMember: 'max_completion_tokens' } },
  {
    match: /^(openai\/)?(o\d|gpt-5(?!\.[1-4]|-chat)|gpt-5\.[1-4]-(pro|chat)|gpt-5\.1-codex|gpt-([6-9]|\d\d))/,
    quirks: { noSampling: true },
  },
];

/** Thinking mode wants its reasoning back on every replayed turn. https://api-docs.deepseek.com/guides/thinking_mode */
const deepseekModels: readonly ModelRule[] = [
  { match: /deepseek-(v[4-9]|flash|pro|reasoner)/i, quirks: { replayReasoning: 'reasoning_content' } },
  { match: /vision/i, quirks: { textOnly: false } },
];

/** Rules of model families that hold at any host, for providers without rules of their own. */
const familyRules: readonly ModelRule[] = [...claude, ...openaiModels];

/** Sent to a model of unknown family when the dialect requires an output limit and the client gave none. */
const fallbackMaxTokens = 8192;

/** Servers of open models: chat templates know no `developer`, and the older word for the limit is understood by all. */
const openModels: Quirks = { limitMember: 'max_tokens', noDeveloperRole: true };

export const catalogue: Readonly<Record<string, CatalogueEntry>> = {
  anthropic: {
    env: ['ANTHROPIC_API_KEY'],
    known: ['claude-haiku-4-5', 'claude-opus-4-8', 'claude-opus-5', 'claude-sonnet-4-5', 'claude-sonnet-5'],
    speaks: { 'anthropic-messages': 'https://api.anthropic.com/v1' },
    auth: 'x-api-key',
    models: claude,
    prices: 'anthropic',
  },
  cerebras: {
    env: ['CEREBRAS_API_KEY'],
    known: ['gpt-oss-120b'],
    speaks: { 'openai-chat': 'https://api.cerebras.ai/v1' },
    prices: 'cerebras',
  },
  deepinfra: {
    env: ['DEEPINFRA_API_KEY', 'DEEPINFRA_TOKEN'],
    speaks: { 'openai-chat': 'https://api.deepinfra.com/v1/openai' },
    quirks: openModels,
  },
  deepseek: {
    env: ['DEEPSEEK_API_KEY'],
    known: ['deepseek-v4-flash', 'deepseek-v4-pro'],
    speaks: {
      'openai-chat': 'https://api.deepseek.com/v1',
      'anthropic-messages': 'https://api.deepseek.com/anthropic/v1',
    },
    quirks: {
      ...openModels,
      textOnly: true,
      noJsonSchema: true,
      rename: { user: 'user_id' },
      efforts: ['low', 'high', 'max'],
    },
    models: deepseekModels,
    prices: 'deepseek',
  },
  fireworks: {
    env: ['FIREWORKS_API_KEY'],
    speaks: { 'openai-chat': 'https://api.fireworks.ai/inference/v1' },
    quirks: openModels,
    prices: 'fireworks',
  },
  github: {
    env: ['GITHUB_API_KEY'],
    speaks: { 'openai-chat': 'https://models.github.ai/inference' },
  },
  groq: {
    env: ['GROQ_API_KEY'],
    known: ['llama-3.3-70b-versatile', 'openai/gpt-oss-120b', 'openai/gpt-oss-20b'],
    speaks: { 'openai-chat': 'https://api.groq.com/openai/v1' },
    prices: 'groq',
  },
  huggingface: {
    env: ['HF_TOKEN'],
    speaks: { 'openai-chat': 'https://router.huggingface.co/v1' },
    quirks: openModels,
  },
  hyperbolic: {
    env: ['HYPERBOLIC_API_KEY'],
    speaks: { 'openai-chat': 'https://api.hyperbolic.xyz/v1' },
    quirks: openModels,
  },
  llamacpp: {
    env: ['LLAMACPP_API_KEY'],
    speaks: { 'openai-chat': 'http://127.0.0.1:8080/v1', 'anthropic-messages': 'http://127.0.0.1:8080/v1' },
    keyless: true,
    urlEnv: 'LLAMACPP_HOST',
    quirks: openModels,
  },
  lmstudio: {
    env: ['LM_API_TOKEN'],
    speaks: { 'openai-chat': 'http://127.0.0.1:1234/v1', 'anthropic-messages': 'http://127.0.0.1:1234/v1' },
    keyless: true,
    urlEnv: 'LMSTUDIO_HOST',
    quirks: openModels,
  },
  // Mistral's reference knows neither `developer` nor `stream_options`; usage comes unasked.
  mistral: {
    env: ['MISTRAL_API_KEY'],
    known: ['mistral-large-latest', 'mistral-medium-latest', 'mistral-small-latest'],
    speaks: { 'openai-chat': 'https://api.mistral.ai/v1' },
    quirks: { ...openModels, noStreamOptions: true, shortToolIds: true, rename: { seed: 'random_seed' } },
    prices: 'mistral',
  },
  // Answered inside this process: the address is never opened.
  mock: {
    env: [],
    known: ['echo'],
    speaks: { 'openai-chat': 'http://mock.invalid/v1', 'anthropic-messages': 'http://mock.invalid/v1' },
    keyless: true,
    quirks: { systemInMessages: true },
    price: { input: 1, output: 2 },
  },
  moonshot: {
    env: ['MOONSHOT_API_KEY', 'MOONSHOTAI_API_KEY'],
    speaks: {
      'openai-chat': 'https://api.moonshot.ai/v1',
      'anthropic-messages': 'https://api.moonshot.ai/anthropic/v1',
    },
    quirks: openModels,
    prices: 'moonshotai',
  },
  nebius: {
    env: ['NEBIUS_API_KEY'],
    speaks: { 'openai-chat': 'https://api.tokenfactory.nebius.com/v1' },
    quirks: openModels,
  },
  novita: {
    env: ['NOVITA_API_KEY'],
    speaks: { 'openai-chat': 'https://api.novita.ai/v3/openai' },
    quirks: openModels,
    prices: 'novita',
  },
  nvidia: {
    env: ['NVIDIA_API_KEY'],
    speaks: { 'openai-chat': 'https://integrate.api.nvidia.com/v1' },
    quirks: openModels,
  },
  ollama: {
    env: ['OLLAMA_API_KEY'],
    speaks: { 'openai-chat': 'http://127.0.0.1:11434/v1', 'anthropic-messages': 'http://127.0.0.1:11434/v1' },
    keyless: true,
    urlEnv: 'OLLAMA_HOST',
    quirks: { ...openModels, efforts: ['none', 'low', 'medium', 'high', 'max'] },
  },
  openai: {
    env: ['OPENAI_API_KEY'],
    known: ['gpt-4.1-mini', 'gpt-4o', 'gpt-4o-mini', 'gpt-5', 'gpt-5-mini', 'gpt-5.5', 'gpt-5.6'],
    speaks: { 'openai-chat': 'https://api.openai.com/v1' },
    models: openaiModels,
    prices: 'openai',
  },
  openrouter: {
    env: ['OPENROUTER_API_KEY'],
    known: ['anthropic/claude-sonnet-4.5', 'openai/gpt-5'],
    speaks: {
      'openai-chat': 'https://openrouter.ai/api/v1',
      'anthropic-messages': 'https://openrouter.ai/api/v1',
    },
    prices: 'openrouter',
  },
  // Usage rides on every chunk, unasked.
  perplexity: {
    env: ['PERPLEXITY_API_KEY', 'PPLX_API_KEY'],
    known: ['sonar', 'sonar-pro'],
    speaks: { 'openai-chat': 'https://api.perplexity.ai' },
    quirks: { ...openModels, noStreamOptions: true },
    prices: 'perplexity',
  },
  sambanova: {
    env: ['SAMBANOVA_API_KEY'],
    speaks: { 'openai-chat': 'https://api.sambanova.ai/v1' },
    quirks: openModels,
  },
  together: {
    env: ['TOGETHER_API_KEY'],
    speaks: { 'openai-chat': 'https://api.together.xyz/v1' },
    quirks: openModels,
    prices: 'together',
  },
  vllm: {
    env: ['VLLM_API_KEY'],
    speaks: { 'openai-chat': 'http://127.0.0.1:8000/v1', 'anthropic-messages': 'http://127.0.0.1:8000/v1' },
    keyless: true,
    urlEnv: 'VLLM_HOST',
    quirks: openModels,
  },
  xai: {
    env: ['XAI_API_KEY'],
    known: ['grok-4.5', 'grok-4.6'],
    speaks: { 'openai-chat': 'https://api.x.ai/v1' },
    quirks: { outputExcludesReasoning: true, efforts: ['none', 'low', 'medium', 'high', 'xhigh'] },
    prices: 'x-ai',
  },
  zai: {
    env: ['ZAI_API_KEY'],
    speaks: {
      'openai-chat': 'https://api.z.ai/api/paas/v4',
      'anthropic-messages': 'https://api.z.ai/api/anthropic/v1',
    },
    quirks: openModels,
    prices: 'zai',
  },
};

/** The catalogue's entry of that name; inherited names (`constructor`) are none. */
export function catalogued(name: string): CatalogueEntry | undefined {
  return Object.hasOwn(catalogue, name) ? catalogue[name] : undefined;
}

/** How `model` at a provider differs from its dialects: the provider's quirks, then each rule that matches, in order. */
export function quirksOf(entry: CatalogueEntry | undefined, model: string): Quirks {
  let quirks: Quirks = { defaultMaxTokens: fallbackMaxTokens, ...entry?.quirks };
  for (const rule of entry?.models ?? familyRules) {
    if (rule.match.test(model)) quirks = { ...quirks, ...rule.quirks };
  }
  return quirks;
}
