/** What a request need not say, because the same holds without it. */
import { isObject, type Json, type JsonObject } from '../../src/core/json.ts';
import { type Path, spell, valueAt } from './translating.ts';

/**
 * Values that hold where nothing is said, by the end of their path; names are in snake_case here, positions left out.
 */
const usual: readonly [end: string, value: Json, because: string][] = [
  ['stream', false, 'whole answers are the default'],
  ['n', 1, 'one answer is the default'],
  ['candidate_count', 1, 'one answer is the default'],
  ['echo', false, 'a prompt is not said again'],
  ['is_error', false, 'results are no errors'],
  ['parallel_tool_calls', true, 'models may call as many as they like'],
  ['tool_choice', 'auto', 'models choose for themselves'],
  ['tool_choice', { type: 'auto' }, 'models choose for themselves'],
  ['function_calling_config.mode', 'AUTO', 'models choose for themselves'],
  ['type', 'function', 'tools are functions where nothing else is said'],
  ['type', 'message', 'what has a role is a message'],
  ['contents[].role', 'user', 'users speak where nobody else does'],
  ['status', 'completed', 'what is past is complete'],
  ['thought', false, 'what is said is no thought'],
  ['arguments', '{}', 'a call without arguments'],
  ['input_schema', { type: 'object', properties: {} }, 'a tool without parameters'],
  ['parameters', { type: 'object', properties: {} }, 'a tool without parameters'],
  ['parameters_json_schema', { type: 'object', properties: {} }, 'a tool without parameters'],
  ['input_schema', true, 'whatever arguments'],
  ['temperature', 1, 'the default'],
  ['top_p', 1, 'all tokens are the default'],
  ['index', 0, 'the place in the list says it'],
  ['strict', false, 'only what is asked to be strict is'],
  ['detail', 'auto', 'the default'],
  ['reasoning_effort', 'none', 'models with a budget do not reason unless asked'],
  ['reasoning.effort', 'none', 'models with a budget do not reason unless asked'],
  ['thinking_budget', 0, 'models with a budget do not reason unless asked'],
  ['thinking_budget', -1, 'models reason as much as they like'],
  ['output_config.effort', 'high', 'the default'],
  ['summary', 'auto', 'thinking is shown where it can be'],
  ['summary', 'detailed', 'thinking is shown where it can be'],
  ['include_thoughts', true, 'thinking is shown where it can be'],
  ['include_thoughts', false, 'the default'],
  ['include[]', 'reasoning.encrypted_content', 'every answer carries what its vendor wants back'],
  ['store', false, 'what is not to be kept, nobody keeps'],
  ['thinking', { type: 'adaptive', display: 'omitted' }, 'models think as they like, and show it when asked'],
  [
    'stream_options',
    { include_usage: true },
    'the gateway itself asks for usage, and gives it to those who want it',
  ],
];

/** Members that say nothing when nothing is in them. */
const containers = new Set([
  'annotations', 'args', 'content', 'contents', 'description', 'function_calling_config', 'function_declarations', 'generation_config',
  'include', 'input', 'messages', 'output', 'parts', 'reasoning', 'reasoning_content', 'stop_sequences', 'summary',
  'system', 'system_instruction', 'text', 'thinking_config', 'tool_config', 'tools',
]); // biome-ignore format: one list

/** Members that say nothing, whatever they are. */
const meaningless: readonly [RegExp, string][] = [
  [/(json_schema|text\.format)\.(name|strict)$/, 'a label, and a promise that is always kept elsewhere'],
  [/^system_instruction\.role$/, 'instructions have one speaker'],
  [/function_response\.(name|id)$|function_call\.id$/, 'a call and its result find each other by either'],
  [/inline_data\.mime_type$/, 'the first bytes tell, too'],
];

/** Hosts tell the same thoughts under two names. */
const thoughts: readonly unknown[] = ['reasoning', 'reasoning_content'];

/** How tools are chosen. */
const choices: readonly unknown[] = ['tool_choice', 'parallel_tool_calls', 'toolConfig', 'tool_config'];

export function goesWithoutSaying(path: Path, value: unknown, body: JsonObject): boolean {
  if (isUsual(path, value)) return true;
  const name = path.at(-1);
  // Of no tools none is chosen.
  if (choices.includes(path[0]) && isUsual(['tools'], body.tools)) return true;
  const around = path.slice(0, -1);
  const beside = valueAt(body, around);
  if (isObject(beside)) {
    if (thoughts.includes(name) && thoughts.every((each) => String(each) in beside)) return true;
    // Nobody in particular says nothing, and what tools return.
    const { role, ...said } = beside;
    if (name === 'role' && (isNothing(around, said) || isResults(beside.parts))) return true;
  }
  // A choice of allowed tools says of the others that they are not there.
  return path[0] === 'tools' && choosesSome(body);
}

function isResults(parts: Json | undefined): boolean {
  return Array.isArray(parts) && parts.every((part) => isObject(part) && part.functionResponse !== undefined);
}

function isNothing(path: Path, members: JsonObject): boolean {
  return Object.entries(members).every(([name, member]) => isUsual([...path, name], member));
}

function isUsual(path: Path, value: unknown): boolean {
  if (value === null || value === undefined) return true;
  const spelt = `.${spell(path).replace(/\[\d+\]/g, '[]')}`.replace(
    /[A-Z]/g,
    (letter) => `_${letter.toLowerCase()}`,
  );
  if (usual.some(([end, it]) => spelt.endsWith(`.${end}`) && Bun.deepEquals(it, value))) return true;
  if (meaningless.some(([where]) => where.test(spelt.slice(1)))) return true;
  if (!containers.has(spelt.slice(spelt.lastIndexOf('.') + 1).replace('[]', ''))) return false;
  if (Array.isArray(value)) return value.every((each, i) => isUsual([...path, i], each));
  if (!isObject(value)) return value === '';
  const { role: _, ...said } = value;
  return isNothing(path, said);
}

function choosesSome({ tool_choice: choice, toolConfig: config }: JsonObject): boolean {
  if (isObject(choice)) return choice.type === 'allowed_tools';
  const calling = isObject(config) ? config.functionCallingConfig : undefined;
  return isObject(calling) && calling.allowedFunctionNames !== undefined;
}
