/** One conversation in neutral words, held through each vendor's official client: for tests over all of them. */
import Anthropic from '@anthropic-ai/sdk';
import {
  type Content,
  type GenerateContentConfig,
  type GenerateContentResponse,
  GoogleGenAI,
  type Part,
} from '@google/genai';
import OpenAI from 'openai';

export interface Talk {
  system?: string;
  turns: Turn[];
  tools?: Tool[];
  choice?: 'required' | 'none' | { name: string };
  /** At most one call. */
  single?: boolean;
  /** JSON Schema of the answer. */
  schema?: object;
  stop?: string[];
  maxTokens?: number;
  /** Reason, and show it. */
  thinks?: boolean;
}

export type Turn = { user: (string | { png: string })[] } | { assistant: Heard } | { results: Result[] };

export interface Tool {
  name: string;
  /** Absent: without arguments. */
  schema?: object;
}

export interface Result {
  call: Call;
  text: string;
  failed?: boolean;
  /** Base64. */
  png?: string;
}

export interface Call {
  id: string;
  name: string;
  input: unknown;
}

/** An answer as the client understood it. */
export interface Heard {
  text: string;
  thought: string;
  calls: Call[];
  stop: 'end' | 'length' | 'calls' | 'refusal' | 'other';
  /** Totals; `cached` is part of `input`. */
  usage: { input: number; cached: number; output: number };
  /** What the client hands back as the assistant's turn. */
  turn: unknown;
}

export interface Speaker {
  whole(model: string, talk: Talk): Promise<Heard>;
  streamed(model: string, talk: Talk): Promise<Heard>;
  failure(thrown: unknown): Failure;
}

/** What a client throws. */
export interface Failure {
  /** Absent where a stream had begun. */
  status: number | undefined;
  words: string;
  /** The dialect's own word for it, where its shape has one. */
  kind: string | undefined;
  retryAfter: string | null;
}

/** What a client's dialect has no word for. */
export const wordless: Record<string, readonly ('stop' | 'failed' | 'result-image' | 'single')[]> = {
  'openai-chat': ['failed', 'result-image'],
  'openai-responses': ['stop', 'failed'],
  'anthropic-messages': [],
  gemini: ['single'],
};

const plain = { type: 'object' as const, properties: {} };

/** Speakers by the dialect they speak, all to the gateway at `url`. */
export function speakersAt(url: string, apiKey: string): Record<string, Speaker> {
  const openai = new OpenAI({ apiKey, baseURL: `${url}/v1`, maxRetries: 0 });
  const anthropic = new Anthropic({ apiKey, baseURL: url, maxRetries: 0 });
  const httpOptions = { baseUrl: url, retryOptions: { attempts: 1 } };
  return {
    'openai-chat': speakChat(openai),
    'openai-responses': speakResponses(openai),
    'anthropic-messages': speakMessages(anthropic),
    gemini: speakGemini(new GoogleGenAI({ apiKey, httpOptions })),
  };
}

type SdkError = {
  status?: number;
  message?: string;
  headers?: Headers;
  type?: string;
  code?: string;
  error?: { error?: { type: string } };
};

function openaiFailure(thrown: unknown): Failure {
  const { status, message = String(thrown), type, code, headers } = thrown as SdkError;
  return { status, words: message, kind: type ?? code, retryAfter: headers?.get('retry-after') ?? null };
}

// OpenAI Chat Completions

type ChatAsk = OpenAI.ChatCompletionCreateParamsNonStreaming;
type ChatDelta = { reasoning_content?: string };

function speakChat(client: OpenAI): Speaker {
  const stream_options = { include_usage: true };
  return {
    whole: async (model, talk) => {
      const answer = await client.chat.completions.create(writeChat(model, talk));
      return hearChat(answer, (answer.choices[0]?.message as ChatDelta)?.reasoning_content ?? '');
    },
    streamed: async (model, talk) => {
      const stream = client.chat.completions.stream({
        ...writeChat(model, talk),
        stream: true,
        stream_options,
      });
      let thought = '';
      for await (const chunk of stream) {
        thought += (chunk.choices[0]?.delta as ChatDelta | undefined)?.reasoning_content ?? '';
      }
      return hearChat(await stream.finalChatCompletion(), thought);
    },
    failure: openaiFailure,
  };
}

function writeChat(model: string, talk: Talk): ChatAsk {
  const { choice, tools, schema } = talk;
  const named = typeof choice === 'object' ? { type: 'function' as const, function: choice } : choice;
  return {
    model,
    messages: [
      ...(talk.system === undefined ? [] : [{ role: 'system' as const, content: talk.system }]),
      ...talk.turns.flatMap(writeChatTurn),
    ],
    ...(tools && {
      tools: tools.map(({ name, schema: parameters }) => ({
        type: 'function',
        function: { name, parameters },
      })),
    }),
    ...(named && { tool_choice: named }),
    ...(talk.single && { parallel_tool_calls: false }),
    ...(schema && {
      response_format: { type: 'json_schema', json_schema: { name: 'answer', schema, strict: true } },
    }),
    ...(talk.stop && { stop: talk.stop }),
    ...(talk.maxTokens && { max_completion_tokens: talk.maxTokens }),
    ...(talk.thinks && { reasoning_effort: 'low' }),
  } as ChatAsk;
}

function writeChatTurn(turn: Turn): OpenAI.ChatCompletionMessageParam[] {
  if ('assistant' in turn) return [turn.assistant.turn as OpenAI.ChatCompletionMessageParam];
  if ('results' in turn) {
    return turn.results.map(({ call, text }) => ({ role: 'tool', tool_call_id: call.id, content: text }));
  }
  const content = turn.user.map((part) =>
    typeof part === 'string'
      ? { type: 'text' as const, text: part }
      : { type: 'image_url' as const, image_url: { url: `data:image/png;base64,${part.png}` } },
  );
  return [{ role: 'user', content }];
}

function hearChat({ choices, usage }: OpenAI.ChatCompletion, thought: string): Heard {
  const { message, finish_reason } = choices[0]!;
  const stops: Record<string, Heard['stop']> = {
    stop: 'end',
    length: 'length',
    tool_calls: 'calls',
    content_filter: 'refusal',
  };
  return {
    text: message.content ?? '',
    thought,
    calls: (message.tool_calls ?? []).flatMap((call) =>
      call.type === 'function'
        ? [{ id: call.id, name: call.function.name, input: JSON.parse(call.function.arguments) }]
        : [],
    ),
    stop: message.refusal ? 'refusal' : (stops[finish_reason] ?? 'other'),
    usage: {
      input: usage?.prompt_tokens ?? -1,
      cached: usage?.prompt_tokens_details?.cached_tokens ?? 0,
      output: usage?.completion_tokens ?? -1,
    },
    turn: message,
  };
}

// OpenAI Responses

function speakResponses(client: OpenAI): Speaker {
  return {
    whole: async (model, talk) => hearResponse(await client.responses.create(writeResponses(model, talk))),
    streamed: async (model, talk) =>
      hearResponse(
        await client.responses.stream({ ...writeResponses(model, talk), stream: true }).finalResponse(),
      ),
    failure: openaiFailure,
  };
}

function writeResponses(model: string, talk: Talk): OpenAI.Responses.ResponseCreateParamsNonStreaming {
  const { choice, tools, schema } = talk;
  return {
    model,
    store: false,
    include: ['reasoning.encrypted_content'],
    input: talk.turns.flatMap(writeItems),
    ...(talk.system && { instructions: talk.system }),
    ...(tools && {
      tools: tools.map(({ name, schema = plain }) => ({
        type: 'function' as const,
        name,
        parameters: schema as Record<string, unknown>,
        strict: false,
      })),
    }),
    ...(choice && { tool_choice: typeof choice === 'object' ? { type: 'function', ...choice } : choice }),
    ...(talk.single && { parallel_tool_calls: false }),
    ...(schema && {
      text: {
        format: {
          type: 'json_schema',
          name: 'answer',
          strict: true,
          schema: schema as Record<string, unknown>,
        },
      },
    }),
    ...(talk.maxTokens && { max_output_tokens: talk.maxTokens }),
    ...(talk.thinks && { reasoning: { effort: 'low', summary: 'auto' } }),
  };
}

function writeItems(turn: Turn): OpenAI.Responses.ResponseInputItem[] {
  if ('assistant' in turn) return turn.assistant.turn as OpenAI.Responses.ResponseInputItem[];
  const image = (png: string) => ({
    type: 'input_image' as const,
    detail: 'auto' as const,
    image_url: `data:image/png;base64,${png}`,
  });
  if ('results' in turn) {
    return turn.results.map(({ call, text, png }) => ({
      type: 'function_call_output',
      call_id: call.id,
      output: png === undefined ? text : [{ type: 'input_text' as const, text }, image(png)],
    }));
  }
  const content = turn.user.map((part) =>
    typeof part === 'string' ? { type: 'input_text' as const, text: part } : image(part.png),
  );
  return [{ role: 'user', content }];
}

function hearResponse(response: OpenAI.Responses.Response): Heard {
  const { output, status, incomplete_details, usage } = response;
  const calls = output.flatMap((item) => (item.type === 'function_call' ? [item] : []));
  const content = output.flatMap((item) => (item.type === 'message' ? item.content : []));
  const refused = content.some((part) => part.type === 'refusal');
  const thoughts = output.flatMap((item) => (item.type === 'reasoning' ? item.summary : []));
  const cut = incomplete_details?.reason === 'max_output_tokens' ? 'length' : 'refusal';
  return {
    text: content.map((part) => (part.type === 'output_text' ? part.text : '')).join(''),
    thought: thoughts.map(({ text }) => text).join(''),
    calls: calls.map(({ call_id, name, arguments: text }) => ({
      id: call_id,
      name,
      input: JSON.parse(text),
    })),
    stop: status === 'incomplete' ? cut : refused ? 'refusal' : calls.length > 0 ? 'calls' : 'end',
    usage: {
      input: usage?.input_tokens ?? -1,
      cached: usage?.input_tokens_details.cached_tokens ?? 0,
      output: usage?.output_tokens ?? -1,
    },
    turn: output,
  };
}

// Anthropic Messages

function speakMessages(client: Anthropic): Speaker {
  return {
    whole: async (model, talk) => hearMessage(await client.messages.create(writeMessages(model, talk))),
    streamed: async (model, talk) =>
      hearMessage(await client.messages.stream(writeMessages(model, talk)).finalMessage()),
    failure: (thrown) => {
      const { status, message = String(thrown), error, headers } = thrown as SdkError;
      return {
        status,
        words: message,
        kind: error?.error?.type,
        retryAfter: headers?.get('retry-after') ?? null,
      };
    },
  };
}

function writeMessages(model: string, talk: Talk): Anthropic.MessageCreateParamsNonStreaming {
  const { choice, tools, schema, single } = talk;
  const named =
    typeof choice === 'object'
      ? { type: 'tool', ...choice }
      : { type: choice === 'required' ? 'any' : (choice ?? 'auto') };
  const tool_choice = (choice ?? single) && { ...named, ...(single && { disable_parallel_tool_use: true }) };
  return {
    model,
    max_tokens: talk.maxTokens ?? 4096,
    messages: talk.turns.map(writeMessage),
    ...(talk.system && { system: talk.system }),
    ...(tools && { tools: tools.map(({ name, schema = plain }) => ({ name, input_schema: schema })) }),
    ...(tool_choice && { tool_choice }),
    ...(schema && { output_config: { format: { type: 'json_schema', schema } } }),
    ...(talk.stop && { stop_sequences: talk.stop }),
    ...(talk.thinks && { thinking: { type: 'enabled', budget_tokens: 1024, display: 'summarized' } }),
  } as Anthropic.MessageCreateParamsNonStreaming;
}

function writeMessage(turn: Turn): Anthropic.MessageParam {
  if ('assistant' in turn) return turn.assistant.turn as Anthropic.MessageParam;
  const block = (part: string | { png: string }): Anthropic.TextBlockParam | Anthropic.ImageBlockParam =>
    typeof part === 'string'
      ? { type: 'text', text: part }
      : { type: 'image', source: { type: 'base64', media_type: 'image/png', data: part.png } };
  if ('user' in turn) return { role: 'user', content: turn.user.map(block) };
  const content = turn.results.map(({ call, text, failed, png }) => ({
    type: 'tool_result' as const,
    tool_use_id: call.id,
    content: [block(text), ...(png === undefined ? [] : [block({ png })])],
    ...(failed && { is_error: true }),
  }));
  return { role: 'user', content };
}

function hearMessage({ content, stop_reason, usage }: Anthropic.Message): Heard {
  const stops: Record<string, Heard['stop']> = {
    end_turn: 'end',
    stop_sequence: 'end',
    max_tokens: 'length',
    tool_use: 'calls',
    refusal: 'refusal',
  };
  const cached = usage.cache_read_input_tokens ?? 0;
  return {
    text: content.map((block) => (block.type === 'text' ? block.text : '')).join(''),
    thought: content.map((block) => (block.type === 'thinking' ? block.thinking : '')).join(''),
    calls: content.flatMap((block) =>
      block.type === 'tool_use' ? [{ id: block.id, name: block.name, input: block.input }] : [],
    ),
    stop: stops[stop_reason ?? ''] ?? 'other',
    usage: {
      input: usage.input_tokens + cached + (usage.cache_creation_input_tokens ?? 0),
      cached,
      output: usage.output_tokens,
    },
    turn: { role: 'assistant', content },
  };
}

// Gemini

function speakGemini(client: GoogleGenAI): Speaker {
  return {
    whole: async (model, talk) =>
      hearGemini([await client.models.generateContent({ model, ...writeGemini(talk) })]),
    streamed: async (model, talk) =>
      hearGemini(
        await Array.fromAsync(await client.models.generateContentStream({ model, ...writeGemini(talk) })),
      ),
    failure: (thrown) => {
      const { status, message = String(thrown) } = thrown as SdkError;
      const kind = /"status":"([A-Z_]+)"/.exec(message)?.[1];
      return {
        status,
        words: message,
        kind,
        retryAfter: /"retryDelay":"([\d.]+)s"/.exec(message)?.[1] ?? null,
      };
    },
  };
}

function writeGemini(talk: Talk): { contents: Content[]; config: GenerateContentConfig } {
  const { choice, tools, schema } = talk;
  const mode = choice === 'none' ? 'NONE' : 'ANY';
  const allowed = typeof choice === 'object' ? { allowedFunctionNames: [choice.name] } : {};
  const config = {
    ...(talk.system && { systemInstruction: talk.system }),
    ...(tools && {
      tools: [
        {
          functionDeclarations: tools.map(({ name, schema: parametersJsonSchema }) => ({
            name,
            parametersJsonSchema,
          })),
        },
      ],
    }),
    ...(choice && { toolConfig: { functionCallingConfig: { mode, ...allowed } } }),
    ...(schema && { responseMimeType: 'application/json', responseJsonSchema: schema }),
    ...(talk.stop && { stopSequences: talk.stop }),
    ...(talk.maxTokens && { maxOutputTokens: talk.maxTokens }),
    ...(talk.thinks && { thinkingConfig: { includeThoughts: true, thinkingBudget: 1024 } }),
  };
  return { contents: talk.turns.map(writeContent), config: config as GenerateContentConfig };
}

function writeContent(turn: Turn): Content {
  if ('assistant' in turn) return turn.assistant.turn as Content;
  const inline = (data: string): Part => ({ inlineData: { mimeType: 'image/png', data } });
  if ('user' in turn) {
    return {
      role: 'user',
      parts: turn.user.map((part) => (typeof part === 'string' ? { text: part } : inline(part.png))),
    };
  }
  const parts = turn.results.map(({ call, text, failed, png }) => ({
    functionResponse: {
      ...(call.id !== '' && { id: call.id }),
      name: call.name,
      response: failed ? { error: text } : { output: text },
      ...(png !== undefined && { parts: [inline(png)] }),
    },
  }));
  return { role: 'user', parts: parts as Part[] };
}

function hearGemini(chunks: GenerateContentResponse[]): Heard {
  const parts = chunks.flatMap((chunk) => chunk.candidates?.[0]?.content?.parts ?? []);
  const finish = chunks
    .map((chunk) => chunk.candidates?.[0]?.finishReason)
    .filter((reason) => reason !== undefined);
  const usage = chunks.at(-1)?.usageMetadata;
  const calls = parts.flatMap((part) =>
    part.functionCall
      ? [
          {
            id: part.functionCall.id ?? '',
            name: part.functionCall.name ?? '',
            input: part.functionCall.args,
          },
        ]
      : [],
  );
  const texts = (thought: boolean): string =>
    parts.map((part) => ((part.thought ?? false) === thought ? (part.text ?? '') : '')).join('');
  const stops: Record<string, Heard['stop']> = {
    STOP: calls.length > 0 ? 'calls' : 'end',
    MAX_TOKENS: 'length',
    SAFETY: 'refusal',
  };
  return {
    text: texts(false),
    thought: texts(true),
    calls,
    stop: stops[finish.at(-1) ?? ''] ?? 'other',
    usage: {
      input: usage?.promptTokenCount ?? -1,
      cached: usage?.cachedContentTokenCount ?? 0,
      output: (usage?.candidatesTokenCount ?? -1) + (usage?.thoughtsTokenCount ?? 0),
    },
    turn: { role: 'model', parts },
  };
}
