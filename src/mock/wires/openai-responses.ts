/** Writes the mock's answers on the wire of OpenAI Responses. */
import { cutText, type Part, type Plan, type Tokens } from '../plan.ts';
import { openaiResponses as voice } from '../voices/openai.ts';
import { type Event, type Turn, typed, type Wire } from '../wire.ts';
import { readResponses } from './openai-responses-ask.ts';

export const openaiResponses: Wire = {
  keys: ['authorization', 'api-key'],
  ids: { answer: 'resp_', call: 'call_' },
  voice,
  ask: readResponses,
  whole: (turn) =>
    writeResponse(
      turn,
      turn.plan.parts.map((part) => writeItem(turn, part)),
      true,
    ),
  events: writeEvents,
};

interface Item {
  type: string;
  id: string;
  [member: string]: unknown;
}

function writeUsage(usage: Tokens): object {
  return {
    input_tokens: usage.input,
    input_tokens_details: { cache_write_tokens: usage.written, cached_tokens: usage.cached },
    output_tokens: usage.output,
    output_tokens_details: { reasoning_tokens: usage.reasoning },
    total_tokens: usage.input + usage.output,
  };
}

/** The answer as a whole, which repeats how it was asked for; or as it stands before anything is said. */
function writeResponse({ id, model, created, ask, plan }: Turn, output: Item[], ended: boolean): object {
  const { body } = ask;
  const cut = ended && plan.stop === 'length';
  return {
    id,
    object: 'response',
    created_at: created,
    status: cut ? 'incomplete' : ended ? 'completed' : 'in_progress',
    background: false,
    completed_at: ended ? created : null,
    error: null,
    incomplete_details: cut ? { reason: 'max_output_tokens' } : null,
    instructions: body.instructions ?? null,
    max_output_tokens: body.max_output_tokens ?? null,
    metadata: body.metadata ?? {},
    model,
    output,
    parallel_tool_calls: ask.parallel,
    previous_response_id: body.previous_response_id ?? null,
    reasoning: { effort: null, summary: null, ...(body.reasoning as object | undefined) },
    service_tier: 'default',
    store: body.store ?? true,
    temperature: body.temperature ?? 1,
    text: { format: { type: 'text' }, verbosity: 'medium', ...(body.text as object | undefined) },
    tool_choice: body.tool_choice ?? 'auto',
    tools: body.tools ?? [],
    top_p: body.top_p ?? 1,
    truncation: 'disabled',
    usage: ended && plan.usage ? writeUsage(plan.usage) : null,
    user: null,
  };
}

/** One item of the output, finished. Encrypted reasoning is there only for who asked for it. */
function writeItem({ ask, newId, plan }: Turn, part: Part): Item {
  switch (part.type) {
    case 'reasoning': {
      const include = Array.isArray(ask.body.include) ? ask.body.include : [];
      const encrypted = include.includes('reasoning.encrypted_content') && {
        encrypted_content: part.signature,
      };
      const shows = ask.showsReasoning && !part.redacted;
      return {
        id: newId('rs_'),
        type: 'reasoning',
        summary: shows ? [{ type: 'summary_text', text: part.text }] : [],
        ...encrypted,
      };
    }
    case 'tool-call':
      return {
        id: newId('fc_'),
        type: 'function_call',
        status: 'completed',
        arguments: part.input,
        call_id: part.id,
        name: part.name,
      };
    default:
      return {
        id: newId('msg_'),
        type: 'message',
        status: plan.stop === 'length' ? 'incomplete' : 'completed',
        content: [contentOf(part)],
        role: 'assistant',
      };
  }
}

function contentOf(part: Part & { type: 'text' | 'refusal' }): object {
  return part.type === 'refusal'
    ? { type: 'refusal', refusal: part.text }
    : { type: 'output_text', annotations: [], logprobs: [], text: part.text };
}

function writeEvents(turn: Turn): Event[] {
  const { plan } = turn;
  const events: Event[] = [];
  const event = (type: string, members: object): void => {
    events.push(typed(`response.${type}`, { sequence_number: events.length, ...members }));
  };
  const started = writeResponse(turn, [], false);
  event('created', { response: started });
  event('in_progress', { response: started });
  const output = plan.parts.map((part, output_index) => {
    const item = writeItem(turn, part);
    event('output_item.added', { output_index, item: opened(item) });
    const place = { item_id: item.id, output_index };
    for (const [type, members] of inside(part, item, plan)) event(type, { ...place, ...members });
    event('output_item.done', { output_index, item });
    return item;
  });
  const ending = plan.stop === 'length' ? 'incomplete' : 'completed';
  event(ending, { response: writeResponse(turn, output, true) });
  return events;
}

/** An item as it begins: what comes in pieces is empty. */
function opened(item: Item): Item {
  const { content, summary, arguments: input } = item;
  return {
    ...item,
    ...(item.status !== undefined && { status: 'in_progress' }),
    ...(content !== undefined && { content: [] }),
    ...(summary !== undefined && { summary: [] }),
    ...(input !== undefined && { arguments: '' }),
  };
}

/** What happens between the beginning and the end of an item. */
function* inside(part: Part, item: Item, { pieceLength }: Plan): Generator<[type: string, members: object]> {
  if (part.type === 'tool-call') {
    const name = 'function_call_arguments';
    for (const delta of cutText(part.input, Math.min(pieceLength, 8))) yield [`${name}.delta`, { delta }];
    yield [`${name}.done`, { arguments: part.input, name: part.name }];
  } else if (part.type === 'reasoning') {
    if ((item.summary as object[]).length === 0) return;
    const at = { summary_index: 0 };
    const text = (said: string): object => ({ type: 'summary_text', text: said });
    yield ['reasoning_summary_part.added', { ...at, part: text('') }];
    for (const delta of cutText(part.text, pieceLength)) {
      yield ['reasoning_summary_text.delta', { ...at, delta }];
    }
    yield ['reasoning_summary_text.done', { ...at, text: part.text }];
    yield ['reasoning_summary_part.done', { ...at, part: text(part.text) }];
  } else {
    const at = { content_index: 0 };
    const name = part.type === 'refusal' ? 'refusal' : 'output_text';
    const more = part.type === 'refusal' ? {} : { logprobs: [] };
    yield ['content_part.added', { ...at, part: contentOf({ ...part, text: '' }) }];
    for (const delta of cutText(part.text, pieceLength)) yield [`${name}.delta`, { ...at, delta, ...more }];
    const said = part.type === 'refusal' ? { refusal: part.text } : { text: part.text };
    yield [`${name}.done`, { ...at, ...said, ...more }];
    yield ['content_part.done', { ...at, part: contentOf(part) }];
  }
}
