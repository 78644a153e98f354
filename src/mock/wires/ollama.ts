/** The mock on the wire of Ollama's own chat. */
import { isObject, type Json, type JsonObject } from '../../core/json.ts';
import { type Ask, hear, namePart, newAsk, refuse, textsOf } from '../ask.ts';
import { cutText, type Part, type Tokens } from '../plan.ts';
import { ollama as voice } from '../voices/ollama.ts';
import { type Event, type Turn, unnamed, type Wire } from '../wire.ts';

export const ollama: Wire = {
  keys: ['authorization'],
  ids: { answer: '', call: 'call_' },
  voice,
  ask: readOllama,
  whole: writeWhole,
  events: writeEvents,
  listed: (models) => ({
    models: models.map((name) => ({
      name,
      model: name,
      modified_at: '2025-01-01T00:00:00Z',
      size: 0,
      details: {},
    })),
  }),
};

function writeWhole(turn: Turn): object {
  const { plan, ask } = turn;
  const message: Record<string, unknown> = { role: 'assistant', content: '' };
  const calls: object[] = [];
  for (const [at, part] of plan.parts.entries()) {
    if (part.type === 'tool-call') calls.push(callOf(part, at));
    else if (part.type !== 'reasoning') message.content += part.text;
    else if (showsThought(ask, part)) message.thinking = part.text;
  }
  if (calls.length > 0) message.tool_calls = calls;
  return lastLine(turn, message);
}

function showsThought(ask: Ask, part: Part & { type: 'reasoning' }): boolean {
  return ask.showsReasoning && !part.redacted;
}

function lineOf({ model, created }: Turn, message: object): object {
  return { model, created_at: new Date(created * 1000).toISOString(), message };
}

/** Everything ends by `stop` but what the limit cut off; times are in nanoseconds. */
function lastLine(turn: Turn, message: object): object {
  const { plan } = turn;
  return {
    ...lineOf(turn, message),
    done: true,
    done_reason: plan.stop === 'length' ? 'length' : 'stop',
    total_duration: 3_000_000,
    load_duration: 1_000_000,
    ...(plan.usage && countsOf(plan.usage)),
  };
}

function countsOf(usage: Tokens): object {
  return {
    prompt_eval_count: usage.input,
    prompt_eval_duration: 1_000_000,
    eval_count: usage.output,
    eval_duration: 1_000_000,
  };
}

/** Arguments are an object, not text. */
function callOf(part: Part & { type: 'tool-call' }, index: number): object {
  return { id: part.id, function: { index, name: part.name, arguments: JSON.parse(part.input) } };
}

/** Calls come whole, in a line each. */
function writeEvents(turn: Turn): Event[] {
  const { plan, ask } = turn;
  const events: Event[] = [];
  const said = (members: object): void => {
    const message = { role: 'assistant', content: '', ...members };
    events.push(unnamed({ ...lineOf(turn, message), done: false }));
  };
  for (const [at, part] of plan.parts.entries()) {
    if (part.type === 'tool-call') {
      said({ tool_calls: [callOf(part, at)] });
    } else if (part.type !== 'reasoning' || showsThought(ask, part)) {
      const name = part.type === 'reasoning' ? 'thinking' : 'content';
      for (const text of cutText(part.text, plan.pieceLength)) said({ [name]: text });
    }
  }
  events.push(unnamed(lastLine(turn, { role: 'assistant', content: '' })));
  return events;
}

/** It streams unless told not to. @throws Refused */
function readOllama(body: JsonObject): Ask {
  const { model, messages, options, format } = body;
  if (typeof model !== 'string' || model === '') refuse('model is required');
  const ask = newAsk(body, model, body.stream !== false);
  ask.showsReasoning = body.think !== false;
  ask.tools = readTools(body.tools);
  if (isObject(options)) {
    ask.stop = textsOf(options.stop);
    // Less than nothing means without limit.
    if (typeof options.num_predict === 'number' && options.num_predict > 0)
      ask.maxTokens = options.num_predict;
  }
  if (format === 'json') ask.format = true;
  else if (isObject(format)) ask.format = format;
  else if (format !== undefined && format !== null && format !== '') {
    refuse('invalid format: expected "json" or a JSON schema');
  }
  if (messages !== undefined && !Array.isArray(messages)) mistyped('messages', '[]api.Message');
  for (const message of messages ?? []) readMessage(ask, message);
  return ask;
}

/** Go says so when a value is of another type than its field. */
function mistyped(field: string, type: string): never {
  refuse(`json: cannot unmarshal into Go struct field ChatRequest.${field} of type ${type}`);
}

function readTools(tools: Json | undefined): Ask['tools'] {
  if (tools === undefined || tools === null) return [];
  if (!Array.isArray(tools)) mistyped('tools', 'api.Tools');
  return tools.map((tool) => {
    const called = isObject(tool) ? tool.function : undefined;
    if (!isObject(called) || typeof called.name !== 'string') mistyped('tools.function.name', 'string');
    return { name: called.name, schema: called.parameters ?? {} };
  });
}

const roles = new Set(['system', 'user', 'assistant', 'tool']);

function readMessage(ask: Ask, message: Json): void {
  if (!isObject(message)) mistyped('messages', 'api.Message');
  const { role, content = '', images, tool_calls: calls } = message;
  if (!roles.has(String(role))) refuse('invalid role: expected system, user, assistant or tool');
  if (typeof content !== 'string') mistyped('messages.content', 'string');
  if (images !== undefined && !Array.isArray(images)) mistyped('messages.images', '[]api.ImageData');
  for (const call of Array.isArray(calls) ? calls : []) {
    const called = isObject(call) ? call.function : undefined;
    if (!isObject(called) || !isObject(called.arguments)) {
      mistyped('messages.tool_calls.function.arguments', 'api.ToolCallFunctionArguments');
    }
  }
  const names = (images ?? []).map(nameImage);
  hear(ask, role as 'user', [content, ...names].filter((text) => text !== '').join('\n'));
}

/** What Base64 of an image begins with. */
const beginnings: [string, string][] = [
  ['iVBOR', 'image/png'],
  ['/9j/', 'image/jpeg'],
  ['R0lG', 'image/gif'],
  ['UklG', 'image/webp'],
];

/** Images have no type but what they begin with. */
function nameImage(image: Json): string {
  if (typeof image !== 'string' || !/^[A-Za-z0-9+/]*={0,2}$/.test(image))
    refuse('illegal base64 data at input byte 4');
  const type = beginnings.find(([beginning]) => image.startsWith(beginning))?.[1] ?? 'image/*';
  return namePart('image', type, image);
}
