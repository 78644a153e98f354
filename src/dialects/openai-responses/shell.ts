/** The response object around the items of an answer: what was asked, how it ended and what it cost. */
import { isObject, type Json, type JsonObject } from '../../core/json.ts';
import { emptyUsage, type Usage } from '../../core/usage.ts';
import type { AnswerWish } from '../dialect.ts';
import { writeUsage } from './usage.ts';
import { writeMembers } from './write-request.ts';

/** What is known of an answer from its start. */
export interface Shell {
  id: string;
  model: string;
  /** Seconds since 1970. */
  created: number;
}

export interface Outcome {
  /** In their final form. */
  items: JsonObject[];
  /** Why the answer is not complete, if it is not. */
  reason: string | undefined;
  usage: Usage | undefined;
  /** What only its own dialect told of the answer; it has a `response` where that is this one: see readAnswerExtra. */
  extra: JsonObject | undefined;
}

/** The response as it stands when the answer begins. */
export function openResponse(shell: Shell, wish: AnswerWish | undefined): JsonObject {
  return { ...head(shell, 'in_progress'), ...repeat(wish), usage: null };
}

/** The response as it stands in the end. */
export function finalResponse(shell: Shell, wish: AnswerWish | undefined, outcome: Outcome): JsonObject {
  const response = writeFinal(shell, wish, outcome);
  wish?.kept?.(response);
  return response;
}

function writeFinal(
  shell: Shell,
  wish: AnswerWish | undefined,
  { items, reason, usage, extra }: Outcome,
): JsonObject {
  const status = reason === undefined ? 'completed' : 'incomplete';
  const response: JsonObject = { ...head(shell, status), output: items };
  const counts = usage === undefined ? null : writeUsage(usage);
  if (extra !== undefined && isObject(extra.response)) {
    const told = isObject(extra.usage) && counts !== null ? { ...counts, ...extra.usage } : counts;
    return { ...response, usage: told, ...extra.response, id: shell.id };
  }
  if (reason !== undefined) response.incomplete_details = { reason };
  else response.completed_at = Math.floor(Date.now() / 1000);
  // Clients take an answer without usage for a broken one.
  return { ...response, ...repeat(wish), usage: counts ?? writeUsage(emptyUsage()) };
}

function head({ id, model, created }: Shell, status: string): JsonObject {
  return {
    id,
    object: 'response',
    created_at: created,
    status,
    error: null,
    incomplete_details: null,
    model,
    output: [],
  };
}

/** Members of the request as every answer repeats them, with what holds where the client said nothing. */
function repeat(wish: AnswerWish | undefined): JsonObject {
  const request = wish?.request?.();
  const asked = request === undefined ? {} : writeMembers(request, {}, []);
  const instructions = request?.messages.find(({ apart }) => apart)?.blocks[0];
  return {
    background: false,
    instructions: instructions?.type === 'text' ? instructions.text : null,
    max_output_tokens: asked.max_output_tokens ?? null,
    max_tool_calls: asked.max_tool_calls ?? null,
    metadata: asked.metadata ?? {},
    parallel_tool_calls: asked.parallel_tool_calls ?? true,
    previous_response_id: asked.previous_response_id ?? null,
    prompt_cache_key: asked.prompt_cache_key ?? null,
    reasoning: { effort: null, summary: null, ...membersOf(asked.reasoning) },
    safety_identifier: asked.safety_identifier ?? null,
    service_tier: asked.service_tier ?? 'default',
    store: asked.store ?? true,
    temperature: asked.temperature ?? 1,
    text: { format: { type: 'text' }, ...membersOf(asked.text) },
    tool_choice: asked.tool_choice ?? 'auto',
    tools: Array.isArray(asked.tools) ? asked.tools.map(completeTool) : [],
    top_logprobs: asked.top_logprobs ?? 0,
    top_p: asked.top_p ?? 1,
    truncation: asked.truncation ?? 'disabled',
    ...(asked.user === undefined ? {} : { user: asked.user }),
  };
}

function membersOf(value: Json | undefined): JsonObject {
  return isObject(value) ? value : {};
}

function completeTool(tool: Json): Json {
  if (!isObject(tool) || tool.type !== 'function') return tool;
  return { description: null, parameters: null, strict: null, ...tool };
}
