/** Clouds that host models of others: the same dialects at other addresses, with other credentials and small changes. */
import type { CatalogueEntry } from './entry.ts';
import { chatModels, claudeModels, familyRules, mistral, openaiPreferences } from './families.ts';
import type { Place } from './places.ts';

/**
 * A dated API version means the URLs of deployments; without one it is the v1 API, which has no versions.
 * https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle
 */
export const azure: CatalogueEntry = {
  env: ['AZURE_OPENAI_API_KEY', 'AZURE_API_KEY'],
  urlEnv: 'AZURE_OPENAI_ENDPOINT',
  url: 'https://{resource}.openai.azure.com',
  settings: { resource: ['AZURE_RESOURCE_NAME'], api_version: ['OPENAI_API_VERSION'] },
  speaks: {
    'openai-chat': [
      {
        url: '/openai',
        path: '/deployments/{model}/chat/completions?api-version={api_version}',
        realtime: { path: '/realtime?api-version={api_version}', model: 'deployment' },
        models: chatModels,
      },
      { url: '/openai/v1', models: chatModels },
    ],
    'openai-responses': '/openai/v1',
  },
  auth: 'api-key',
  models: [...claudeModels, ...openaiPreferences],
  prices: 'azure',
  keeps: true,
  // https://learn.microsoft.com/azure/ai-foundry/openai/how-to/batch
  batchShare: 0.5,
};

/**
 * Claude in Microsoft Foundry. https://platform.claude.com/docs/en/build-with-claude/claude-in-microsoft-foundry
 */
export const azureAnthropic: CatalogueEntry = {
  env: ['ANTHROPIC_FOUNDRY_API_KEY'],
  urlEnv: 'ANTHROPIC_FOUNDRY_BASE_URL',
  url: 'https://{resource}.services.ai.azure.com/anthropic',
  settings: { resource: ['ANTHROPIC_FOUNDRY_RESOURCE'] },
  speaks: { 'anthropic-messages': '/v1' },
  auth: 'x-api-key',
  prices: 'azure',
};

/** What the dialect says in a header and a member, the host says in the path. */
const claudeOnBedrock: Place = {
  url: '',
  models: /claude/,
  path: '/model/{model}/invoke',
  streamPath: '/model/{model}/invoke-with-response-stream',
  set: { anthropic_version: 'bedrock-2023-05-31' },
  remove: ['model', 'stream'],
  lift: { 'anthropic-beta': 'anthropic_beta' },
  framing: 'aws-chunks',
  ownErrors: true,
};

export const bedrock: CatalogueEntry = {
  env: ['AWS_BEARER_TOKEN_BEDROCK'],
  known: [
    'amazon.nova-lite-v1:0',
    'global.anthropic.claude-opus-4-8',
    'openai.gpt-oss-120b-1:0',
    'us.anthropic.claude-sonnet-4-5-20250929-v1:0',
  ],
  url: 'https://bedrock-runtime.{region}.amazonaws.com',
  settings: { region: ['AWS_REGION', 'AWS_DEFAULT_REGION'] },
  speaks: { 'anthropic-messages': claudeOnBedrock, 'bedrock-converse': '' },
  identity: 'aws-sigv4',
  service: 'bedrock',
  // Its own copy of the Messages schema does not know `output_config.format` for the newest families.
  models: [
    ...familyRules,
    { match: /claude-(\w+-4-[78]|(opus|sonnet|haiku|fable)-[5-9])/, quirks: { schemaByTool: true } },
  ],
  prices: 'aws',
};

/**
 * Amazon's endpoint for the dialects of others. https://docs.aws.amazon.com/bedrock/latest/userguide/bedrock-mantle.html
 */
export const bedrockMantle: CatalogueEntry = {
  env: ['AWS_BEARER_TOKEN_BEDROCK'],
  known: ['openai.gpt-5.4', 'openai.gpt-5.5'],
  url: 'https://bedrock-mantle.{region}.api.aws',
  settings: { region: ['AWS_REGION', 'AWS_DEFAULT_REGION'] },
  speaks: {
    'openai-chat': { url: '/v1', models: /^(?!anthropic\.|openai\.gpt-(?!oss))/ },
    'openai-responses': [
      { url: '/v1', models: /gpt-oss/ },
      { url: '/openai/v1', models: /^openai\./ },
    ],
    'anthropic-messages': { url: '/anthropic/v1', models: /claude/ },
  },
  identity: 'aws-sigv4',
  service: 'bedrock-mantle',
  models: [...familyRules, { match: /claude/, quirks: { schemaByTool: true } }],
  prices: 'aws',
};

const vertexProject = '/projects/{project}/locations/{location}';
/** Google's own; those of others are asked for elsewhere. */
const googleModels = /^(gemini|imagen|text-(multilingual-)?embedding)/;
/** Calls that carry a token, rather than an API key. */
const tokens = ['google', 'bearer'] as const;

/**
 * An API key alone means express mode, which has Gemini only and knows no project.
 * https://cloud.google.com/vertex-ai/generative-ai/docs/start/express-mode/overview
 */
export const vertex: CatalogueEntry = {
  env: ['GOOGLE_VERTEX_API_KEY'],
  known: ['claude-opus-4-8', 'claude-sonnet-4-5@20250929', 'gemini-2.5-flash', 'gemini-2.5-pro'],
  url: 'https://{host}',
  host: {
    by: 'location',
    usual: '{location}-aiplatform.googleapis.com',
    of: {
      global: 'aiplatform.googleapis.com',
      us: 'aiplatform.us.rep.googleapis.com',
      eu: 'aiplatform.eu.rep.googleapis.com',
    },
  },
  settings: {
    project: ['GOOGLE_CLOUD_PROJECT', 'GOOGLE_VERTEX_PROJECT', 'ANTHROPIC_VERTEX_PROJECT_ID'],
    location: ['GOOGLE_CLOUD_LOCATION', 'GOOGLE_VERTEX_LOCATION', 'CLOUD_ML_REGION'],
  },
  defaults: { location: 'global' },
  speaks: {
    gemini: [
      { url: '/v1beta1/publishers/google', models: googleModels, auth: ['x-goog-api-key'] },
      { url: `/v1beta1${vertexProject}/publishers/google`, models: googleModels, auth: tokens },
    ],
    'anthropic-messages': {
      url: `/v1${vertexProject}/publishers/anthropic`,
      models: /^claude/,
      auth: tokens,
      path: '/models/{model}:rawPredict',
      streamPath: '/models/{model}:streamRawPredict',
      set: { anthropic_version: 'vertex-2023-10-16' },
      remove: ['model'],
      ownErrors: true,
    },
    'openai-chat': [
      { url: `/v1${vertexProject}/endpoints/openapi`, models: /\//, auth: tokens },
      {
        url: `/v1${vertexProject}/publishers/mistralai`,
        models: /stral/,
        auth: tokens,
        path: '/models/{model}:rawPredict',
        streamPath: '/models/{model}:streamRawPredict',
        ownErrors: true,
      },
    ],
  },
  auth: 'x-goog-api-key',
  identity: 'google',
  quirks: { noCallIds: true, predicts: true },
  // Structured outputs are switched off there, unless an organisation's policy says otherwise.
  models: [
    ...familyRules,
    { match: /^claude/, quirks: { schemaByTool: true } },
    { match: /stral/, quirks: mistral },
  ],
  prices: 'google',
};
