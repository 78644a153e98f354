/** The catalogue: whom Sluice knows how to call. Data only; a new provider is one entry, in alphabetical order. */
import type { DialectName } from '../core/chat.ts';
import type { Quirks } from '../dialects/quirks.ts';
import { azure, azureAnthropic, bedrock, bedrockMantle, vertex } from './clouds.ts';
import type { CatalogueEntry } from './entry.ts';
import {
  chatModels,
  claudeModels,
  deepseekModels,
  familyRules,
  type ModelRule,
  mistral,
  openaiPreferences,
  openModels,
  switchedModels,
} from './families.ts';
import type { Place } from './places.ts';

/** Sent to a model of unknown family when the dialect requires an output limit and the client gave none. */
const fallbackMaxTokens = 8192;

/** Servers on this machine that speak for open models all that others are asked in. */
const everyOpenDialect = {
  'openai-chat': '/v1',
  'anthropic-messages': '/v1',
  'openai-responses': '/v1',
  'openai-completions': '/v1',
} as const;

const ollama: Quirks = {
  ...openModels,
  efforts: ['none', 'low', 'medium', 'high', 'max'],
  keepsNothing: true,
  oneAnswer: true,
  // https://github.com/ollama/ollama/issues/6778
  continues: 'any-turn',
};

export const catalogue: Readonly<Record<string, CatalogueEntry>> = {
  alibaba: {
    env: ['DASHSCOPE_API_KEY'],
    speaks: {
      'openai-chat': 'https://dashscope-intl.aliyuncs.com/compatible-mode/v1',
      'anthropic-messages': 'https://dashscope-intl.aliyuncs.com/apps/anthropic/v1',
    },
    quirks: openModels,
  },
  anthropic: {
    env: ['ANTHROPIC_API_KEY'],
    known: ['claude-haiku-4-5', 'claude-opus-4-8', 'claude-opus-5', 'claude-sonnet-4-5', 'claude-sonnet-5'],
    speaks: { 'anthropic-messages': 'https://api.anthropic.com/v1' },
    auth: 'x-api-key',
    models: claudeModels,
    prices: 'anthropic',
    keeps: true,
    // https://platform.claude.com/docs/en/build-with-claude/batch-processing#pricing
    batchShare: 0.5,
  },
  azure,
  'azure-anthropic': azureAnthropic,
  baseten: {
    env: ['BASETEN_API_KEY'],
    speaks: { 'openai-chat': 'https://inference.baseten.co/v1' },
    quirks: openModels,
    prices: 'baseten',
  },
  bedrock,
  'bedrock-mantle': bedrockMantle,
  cerebras: {
    env: ['CEREBRAS_API_KEY'],
    known: ['gpt-oss-120b'],
    speaks: {
      'openai-chat': 'https://api.cerebras.ai/v1',
      'openai-completions': 'https://api.cerebras.ai/v1',
    },
    prices: 'cerebras',
  },
  chutes: {
    env: ['CHUTES_API_KEY'],
    speaks: { 'openai-chat': 'https://llm.chutes.ai/v1' },
    quirks: openModels,
  },
  cloudflare: {
    env: ['CLOUDFLARE_API_KEY', 'CLOUDFLARE_API_TOKEN'],
    settings: { account: ['CLOUDFLARE_ACCOUNT_ID'] },
    speaks: { 'openai-chat': 'https://api.cloudflare.com/client/v4/accounts/{account}/ai/v1' },
    quirks: openModels,
    prices: 'cloudflare',
  },
  cohere: {
    env: ['COHERE_API_KEY', 'CO_API_KEY'],
    known: ['command-a-03-2025', 'command-r7b-12-2024'],
    speaks: {
      'cohere-v2': 'https://api.cohere.com/v2',
      'openai-chat': 'https://api.cohere.ai/compatibility/v1',
    },
    quirks: openModels,
    prices: 'cohere',
  },
  deepinfra: {
    env: ['DEEPINFRA_API_KEY', 'DEEPINFRA_TOKEN'],
    speaks: {
      'openai-chat': 'https://api.deepinfra.com/v1/openai',
      'openai-completions': 'https://api.deepinfra.com/v1/openai',
    },
    quirks: openModels,
  },
  deepseek: {
    env: ['DEEPSEEK_API_KEY'],
    known: ['deepseek-v4-flash', 'deepseek-v4-pro'],
    speaks: {
      'openai-chat': 'https://api.deepseek.com/v1',
      'anthropic-messages': 'https://api.deepseek.com/anthropic/v1',
      'openai-responses': 'https://api.deepseek.com',
    },
    quirks: {
      keepsNothing: true,
      oneAnswer: true,
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
    speaks: {
      'openai-chat': 'https://api.fireworks.ai/inference/v1',
      'openai-responses': 'https://api.fireworks.ai/inference/v1',
      'openai-completions': 'https://api.fireworks.ai/inference/v1',
    },
    quirks: openModels,
    prices: 'fireworks',
  },
  friendli: {
    env: ['FRIENDLI_TOKEN'],
    speaks: { 'openai-chat': 'https://api.friendli.ai/serverless/v1' },
    quirks: openModels,
  },
  gemini: {
    env: ['GEMINI_API_KEY', 'GOOGLE_API_KEY', 'GOOGLE_GENERATIVE_AI_API_KEY'],
    known: ['gemini-2.5-flash', 'gemini-2.5-pro', 'gemini-3.1-pro-preview', 'gemini-3.5-flash'],
    speaks: { gemini: 'https://generativelanguage.googleapis.com/v1beta' },
    auth: 'x-goog-api-key',
    prices: 'google',
    keeps: true,
  },
  github: {
    env: ['GITHUB_API_KEY'],
    speaks: { 'openai-chat': 'https://models.github.ai/inference' },
  },
  groq: {
    env: ['GROQ_API_KEY'],
    known: ['llama-3.3-70b-versatile', 'openai/gpt-oss-120b', 'openai/gpt-oss-20b'],
    speaks: {
      'openai-chat': 'https://api.groq.com/openai/v1',
      'openai-responses': 'https://api.groq.com/openai/v1',
    },
    prices: 'groq',
    keeps: true,
    quirks: { keepsNothing: true, oneAnswer: true },
  },
  heroku: {
    env: ['HEROKU_INFERENCE_KEY'],
    speaks: { 'openai-chat': 'https://us.inference.heroku.com/v1' },
    quirks: openModels,
  },
  huggingface: {
    env: ['HF_TOKEN'],
    speaks: {
      'openai-chat': 'https://router.huggingface.co/v1',
      'openai-responses': 'https://router.huggingface.co/v1',
    },
    quirks: { ...openModels, keepsNothing: true },
  },
  hyperbolic: {
    env: ['HYPERBOLIC_API_KEY'],
    speaks: {
      'openai-chat': 'https://api.hyperbolic.xyz/v1',
      'openai-completions': 'https://api.hyperbolic.xyz/v1',
    },
    quirks: openModels,
  },
  'inference-net': {
    env: ['INFERENCE_API_KEY'],
    speaks: { 'openai-chat': 'https://api.inference.net/v1' },
    quirks: openModels,
  },
  llamacpp: {
    env: ['LLAMACPP_API_KEY'],
    url: 'http://127.0.0.1:8080',
    speaks: everyOpenDialect,
    keyless: true,
    urlEnv: 'LLAMACPP_HOST',
    quirks: { ...openModels, keepsNothing: true },
  },
  lmstudio: {
    env: ['LM_API_TOKEN'],
    url: 'http://127.0.0.1:1234',
    speaks: everyOpenDialect,
    keyless: true,
    urlEnv: 'LMSTUDIO_HOST',
    quirks: openModels,
  },
  minimax: {
    env: ['MINIMAX_API_KEY'],
    speaks: {
      'openai-chat': 'https://api.minimax.io/v1',
      'anthropic-messages': 'https://api.minimax.io/anthropic/v1',
    },
    quirks: openModels,
    prices: 'minimax',
  },
  mistral: {
    env: ['MISTRAL_API_KEY'],
    known: ['mistral-large-latest', 'mistral-medium-latest', 'mistral-small-latest'],
    speaks: { 'openai-chat': 'https://api.mistral.ai/v1' },
    quirks: mistral,
    prices: 'mistral',
  },
  // Answered inside this process: the address is never opened.
  mock: {
    env: [],
    known: ['echo'],
    speaks: {
      'openai-chat': 'http://mock.invalid/v1',
      'anthropic-messages': 'http://mock.invalid/v1',
      'openai-responses': 'http://mock.invalid/v1',
      'openai-completions': 'http://mock.invalid/v1',
      gemini: 'http://mock.invalid/v1beta',
    },
    keyless: true,
    quirks: { systemInMessages: true, keepsNothing: true, continues: 'any-turn' },
    price: { input: 1, output: 2, image: 0.01, second: 0.0001, character: 10, search: 0.001 },
  },
  moonshot: {
    env: ['MOONSHOT_API_KEY', 'MOONSHOTAI_API_KEY'],
    speaks: {
      'openai-chat': 'https://api.moonshot.ai/v1',
      'anthropic-messages': 'https://api.moonshot.ai/anthropic/v1',
    },
    quirks: openModels,
    models: switchedModels,
    prices: 'moonshotai',
  },
  nebius: {
    env: ['NEBIUS_API_KEY'],
    speaks: {
      'openai-chat': 'https://api.tokenfactory.nebius.com/v1',
      'openai-completions': 'https://api.tokenfactory.nebius.com/v1',
    },
    quirks: openModels,
  },
  novita: {
    env: ['NOVITA_API_KEY'],
    speaks: {
      'openai-chat': 'https://api.novita.ai/v3/openai',
      'openai-completions': 'https://api.novita.ai/v3/openai',
    },
    quirks: openModels,
    prices: 'novita',
  },
  nvidia: {
    env: ['NVIDIA_API_KEY'],
    speaks: { 'openai-chat': 'https://integrate.api.nvidia.com/v1' },
    quirks: openModels,
  },
  ollama: {
    env: [],
    url: 'http://127.0.0.1:11434',
    speaks: { ...everyOpenDialect, ollama: '' },
    keyless: true,
    urlEnv: 'OLLAMA_HOST',
    quirks: ollama,
  },
  'ollama-cloud': {
    env: ['OLLAMA_API_KEY'],
    url: 'https://ollama.com',
    speaks: { 'openai-chat': '/v1', ollama: '' },
    quirks: ollama,
  },
  openai: {
    env: ['OPENAI_API_KEY'],
    known: ['gpt-4.1-mini', 'gpt-4o', 'gpt-4o-mini', 'gpt-5', 'gpt-5-mini', 'gpt-5.5', 'gpt-5.6'],
    speaks: {
      'openai-chat': { url: 'https://api.openai.com/v1', models: chatModels },
      'openai-responses': {
        url: 'https://api.openai.com/v1',
        models: /^(?!gpt-3\.5-turbo-instruct|babbage|davinci)/,
      },
      'openai-completions': {
        url: 'https://api.openai.com/v1',
        models: /^(gpt-3\.5-turbo-instruct|babbage|davinci)/,
      },
    },
    models: openaiPreferences,
    prices: 'openai',
    keeps: true,
    // https://platform.openai.com/docs/guides/batch
    batchShare: 0.5,
  },
  openrouter: {
    env: ['OPENROUTER_API_KEY'],
    known: ['anthropic/claude-sonnet-4.5', 'openai/gpt-5'],
    speaks: {
      'openai-chat': 'https://openrouter.ai/api/v1',
      'anthropic-messages': 'https://openrouter.ai/api/v1',
      'openai-responses': 'https://openrouter.ai/api/v1',
      'openai-completions': 'https://openrouter.ai/api/v1',
    },
    prices: 'openrouter',
    quirks: { keepsNothing: true },
  },
  ovhcloud: {
    env: ['OVHCLOUD_API_KEY'],
    speaks: { 'openai-chat': 'https://oai.endpoints.kepler.ai.cloud.ovh.net/v1' },
    quirks: openModels,
    prices: 'ovhcloud',
  },
  parasail: {
    env: ['PARASAIL_API_KEY'],
    speaks: { 'openai-chat': 'https://api.parasail.io/v1' },
    quirks: openModels,
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
  scaleway: {
    env: ['SCALEWAY_API_KEY'],
    speaks: { 'openai-chat': 'https://api.scaleway.ai/v1' },
    quirks: openModels,
  },
  siliconflow: {
    env: ['SILICONFLOW_API_KEY'],
    speaks: { 'openai-chat': 'https://api.siliconflow.com/v1' },
    quirks: openModels,
  },
  together: {
    env: ['TOGETHER_API_KEY'],
    speaks: {
      'openai-chat': 'https://api.together.xyz/v1',
      'openai-completions': 'https://api.together.xyz/v1',
    },
    quirks: openModels,
    prices: 'together',
  },
  upstage: {
    env: ['UPSTAGE_API_KEY'],
    speaks: { 'openai-chat': 'https://api.upstage.ai/v1' },
    quirks: openModels,
  },
  venice: {
    env: ['VENICE_API_KEY'],
    speaks: { 'openai-chat': 'https://api.venice.ai/api/v1' },
    quirks: openModels,
  },
  vercel: {
    env: ['AI_GATEWAY_API_KEY'],
    speaks: {
      'openai-chat': 'https://ai-gateway.vercel.sh/v1',
      'anthropic-messages': 'https://ai-gateway.vercel.sh/v1',
      'openai-responses': 'https://ai-gateway.vercel.sh/v1',
    },
    quirks: { keepsNothing: true },
  },
  vertex,
  vllm: {
    env: ['VLLM_API_KEY'],
    url: 'http://127.0.0.1:8000',
    speaks: everyOpenDialect,
    keyless: true,
    urlEnv: 'VLLM_HOST',
    // https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html#extra-parameters_1
    quirks: { ...openModels, continues: 'flag' },
  },
  volcengine: {
    env: ['ARK_API_KEY'],
    speaks: { 'openai-chat': 'https://ark.cn-beijing.volces.com/api/v3' },
    quirks: openModels,
  },
  xai: {
    env: ['XAI_API_KEY'],
    known: ['grok-4.5', 'grok-4.6'],
    speaks: { 'openai-chat': 'https://api.x.ai/v1', 'openai-responses': 'https://api.x.ai/v1' },
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
    models: switchedModels,
    prices: 'zai',
  },
};

/** The catalogue's entry of that name; inherited names (`constructor`) are none. */
export function catalogued(name: string): CatalogueEntry | undefined {
  return Object.hasOwn(catalogue, name) ? catalogue[name] : undefined;
}

/** The places where an entry speaks a dialect, in the order they are tried. */
export function placesOf(entry: CatalogueEntry, dialect: DialectName): readonly Place[] {
  return [entry.speaks[dialect] ?? []]
    .flat()
    .map((place) => (typeof place === 'string' ? { url: place } : place));
}

/** How `model` at a provider differs from its dialects: the provider's quirks, then each rule that matches, in order. */
export function quirksOf(entry: CatalogueEntry | undefined, model: string): Quirks {
  const quirks: Quirks = { defaultMaxTokens: fallbackMaxTokens, ...entry?.quirks };
  for (const rule of rulesFor(entry, model)) Object.assign(quirks, rule.quirks);
  return quirks;
}

/** The most tokens an answer of `model` may have, where a rule of its family says so. */
export function maxOutputOf(entry: CatalogueEntry | undefined, model: string): number | undefined {
  return rulesFor(entry, model).findLast(({ quirks }) => quirks?.defaultMaxTokens !== undefined)?.quirks
    ?.defaultMaxTokens;
}

/** The dialect that requests to `model` are best written in, where the client's own is not spoken; undefined: the provider's first. */
export function preferredDialect(entry: CatalogueEntry | undefined, model: string): DialectName | undefined {
  return rulesFor(entry, model).findLast(({ prefer }) => prefer !== undefined)?.prefer;
}

function rulesFor(entry: CatalogueEntry | undefined, model: string): ModelRule[] {
  return (entry?.models ?? familyRules).filter(({ match }) => match.test(model));
}
