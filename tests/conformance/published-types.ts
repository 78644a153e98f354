/** Holds JSON against the types that the vendors publish with their clients: one run of the TypeScript compiler. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Json } from '../../src/core/json.ts';

/** As clients import them. What the clients add to what is on the wire is not asked for. */
const published = {
  ChatCompletion: 'OpenAI.ChatCompletion',
  ChatCompletionChunk: 'OpenAI.ChatCompletionChunk',
  Completion: 'OpenAI.Completion',
  // One type stands for both, though why it ended and what it used are null until the end.
  CompletionChunk:
    'Omit<OpenAI.Completion, "choices" | "usage"> & { usage?: OpenAI.CompletionUsage | null; choices: (Omit<OpenAI.CompletionChoice, "finish_reason"> & { finish_reason: OpenAI.CompletionChoice["finish_reason"] | null })[] }',
  Response: 'OpenAI.Responses.Response',
  ResponseStreamEvent: 'OpenAI.Responses.ResponseStreamEvent',
  InputTokens: 'OpenAI.Responses.InputTokenCountResponse',
  OpenAIError: '{ error: OpenAI.ErrorObject }',
  OpenAIModel: 'OpenAI.Model',
  OpenAIModels: '{ object: "list"; data: OpenAI.Model[] }',
  Message: 'Lean<Anthropic.Message>',
  RawMessageStreamEvent: 'Lean<Anthropic.RawMessageStreamEvent> | { type: "ping" } | Anthropic.ErrorResponse',
  MessageTokensCount: 'Anthropic.MessageTokensCount',
  ErrorResponse: 'Anthropic.ErrorResponse',
  ModelInfo: 'Anthropic.ModelInfo',
  ModelInfos:
    '{ data: Anthropic.ModelInfo[]; has_more: boolean; first_id: string | null; last_id: string | null }',
  GenerateContentResponse:
    'Pick<Google.GenerateContentResponse, "candidates" | "modelVersion" | "promptFeedback" | "responseId" | "usageMetadata">',
  CountTokensResponse: 'Pick<Google.CountTokensResponse, "totalTokens" | "cachedContentTokenCount">',
  GoogleError: '{ error: { code: number; message: string; status: string; details?: object[] } }',
  GoogleModel: '{ name: string; supportedGenerationMethods: string[] }',
  GoogleModels: '{ models: { name: string; supportedGenerationMethods: string[] }[] }',
} as const;

export type PublishedType = keyof typeof published;

export interface Specimen {
  /** Says where it comes from. */
  name: string;
  type: PublishedType;
  value: Json;
}

const prologue = [
  "import type Anthropic from '@anthropic-ai/sdk';",
  "import type * as Google from '@google/genai';",
  "import type OpenAI from 'openai';",
  // Words of an enumeration are texts on the wire, `output_text` is put together by the client, and a response that has
  // only begun says that its usage is null.
  'type Wire<T> = T extends string ? `${T}` : T extends readonly (infer U)[] ? Wire<U>[]',
  "  : T extends object ? { [K in keyof T as K extends 'output_text' ? never : K]: Wire<T[K]> & Beside<K> | Begun<T, K> } : T;",
  // What all but OpenAI say beside it.
  "type Beside<K> = K extends 'delta' ? { reasoning_content?: string; annotations?: object[]; images?: object[] } : unknown;",
  "type Begun<T, K> = K extends 'usage' ? ('incomplete_details' extends keyof T ? null : never) : never;",
  // Anthropic's own answers leave out what its types only allow to be null (`container`, `citations`, `speed`).
  'type Lean<T> = T extends readonly (infer U)[] ? Lean<U>[] : T extends object',
  '  ? { [K in keyof T as null extends T[K] ? never : K]: Lean<T[K]> }',
  '    & { [K in keyof T as null extends T[K] ? K : never]?: Lean<T[K]> }',
  '  : T;',
  // A value of more members than published is as good; fewer, or others, are not.
  'declare function is<T>(): <V extends T>(value: V) => void;',
];

/** @returns what is wrong with which specimen, in the compiler's words. */
export async function checkTypes(specimens: readonly Specimen[]): Promise<string[]> {
  const lines = [...prologue];
  for (const [name, type] of Object.entries(published)) lines.push(`type ${name} = Wire<${type}>;`);
  const first = lines.length;
  for (const { type, value } of specimens) lines.push(`is<${type}>()(${JSON.stringify(value)});`);
  const root = join(import.meta.dir, '../..');
  // Below node_modules the compiler finds the packages.
  const folder = join(root, 'node_modules/.cache/sluice-conformance');
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `specimens-${process.pid}.ts`);
  writeFileSync(file, `${lines.join('\n')}\n`);
  try {
    const output = await compile(root, file);
    return output.flatMap((line) => {
      const found = /\((\d+),\d+\): (error .*)/.exec(line);
      if (found === null) return line.startsWith('error') ? [line] : [];
      const specimen = specimens[Number(found[1]) - 1 - first];
      return [`${specimen?.type ?? 'prologue'} of ${specimen?.name ?? 'the check itself'}: ${found[2]}`];
    });
  } finally {
    rmSync(file);
  }
}

async function compile(root: string, file: string): Promise<string[]> {
  const flags =
    '--ignoreConfig --noEmit --strict --skipLibCheck --module preserve --moduleResolution bundler';
  const more = '--target esnext --lib esnext,dom --types bun --noErrorTruncation false --pretty false';
  const compiler = join(root, 'node_modules/typescript/bin/tsc');
  const run = Bun.spawn([process.execPath, compiler, ...flags.split(' '), ...more.split(' '), file], {
    cwd: root,
    stdout: 'pipe',
    stderr: 'inherit',
  });
  const output = await new Response(run.stdout).text();
  await run.exited;
  return output.split('\n');
}

// Distinct shapes

/** Members whose text says nothing of the shape. */
const freeTexts = new Set([
  'text', 'delta', 'content', 'thinking', 'partial_json', 'arguments', 'refusal', 'id', 'model', 'name', 'message',
  'reasoning_content', 'responseId', 'modelVersion', 'signature', 'data', 'encrypted_content', 'call_id', 'item_id',
  'token', 'url', 'title', 'input', 'thoughtSignature', 'request_id', 'cited_text', 'system_fingerprint', 'obfuscation',
]); // biome-ignore format: one list

/** Members whose value is whatever the client or the model made of it. */
const free = new Set(['input', 'args', 'parameters', 'metadata', 'schema', 'response']);

/** The value with its free texts cut to one word, numbers to one, and lists to their different elements. */
export function shapeOf(value: Json | undefined, name = ''): Json {
  if (typeof value === 'string') return freeTexts.has(name) ? 'text' : value;
  if (typeof value === 'number') return 1;
  if (Array.isArray(value)) {
    const shapes = value.map((each) => JSON.stringify(shapeOf(each, name)));
    return [...new Set(shapes)].map((shape) => JSON.parse(shape));
  }
  if (typeof value !== 'object' || value === null) return value ?? null;
  if (free.has(name) && value.id === undefined) return {};
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return Object.fromEntries(members.map(([member, inner]) => [member, shapeOf(inner, member)]));
}
