/** What requests may ask for: how each thing is found in a request of the hub, and how it is asked for alone. */
import type { Block, ChatRequest, MediaBlock, Message, ToolChoice } from '../../src/core/chat.ts';

export interface RequestFeature {
  group:
    | 'Content'
    | 'Tools'
    | 'Form and number of answers'
    | 'Sampling'
    | 'Reasoning'
    | 'Beside the conversation';
  name: string;
  /** The request with nothing in it but this; undefined where it has none of it. */
  take(request: ChatRequest): ChatRequest | undefined;
}

const hello: Message = { role: 'user', blocks: [{ type: 'text', text: 'Hello' }] };

/** A request of the same dialect that says nothing but these members. */
function only(request: ChatRequest, members: Partial<ChatRequest>): ChatRequest {
  const { dialect, model } = request;
  return { dialect, model: model || 'any', messages: [hello], stream: false, ...members };
}

/** The request's own words for some members, if it has one of them. */
function taking(...names: (keyof ChatRequest)[]): RequestFeature['take'] {
  return (request) => {
    const said = names.filter((name) => request[name] !== undefined);
    if (said.length === 0) return undefined;
    return only(request, Object.fromEntries(said.map((name) => [name, request[name]])));
  };
}

/** A block without what only its dialect or its vendor says of it. */
function bare(block: Block): Block {
  switch (block.type) {
    case 'text':
      return { type: 'text', text: block.text };
    case 'media':
      return { type: 'media', media: block.media, source: block.source };
    case 'tool-call': {
      const { extra: _, state: __, ...call } = block;
      return call;
    }
    case 'tool-result': {
      const { extra: _, ...result } = block;
      return { ...result, blocks: result.blocks.map(bare) };
    }
    default:
      return block;
  }
}

/** One turn of the user that holds these blocks and no others. */
function takingBlocks(pick: (block: Block) => boolean): RequestFeature['take'] {
  return (request) => {
    const said = request.messages.flatMap(({ role, blocks }) => (role === 'user' ? blocks : []));
    const blocks = said.filter(pick).map(bare);
    return blocks.length === 0 ? undefined : only(request, { messages: [{ role: 'user', blocks }] });
  };
}

/** The same of what is said of blocks beside their content. */
function takingExtra(name: string, pick: (block: Block) => boolean): RequestFeature['take'] {
  return (request) => {
    const blocks = request.messages
      .flatMap((message) => message.blocks)
      .flatMap((block): Block[] => {
        if (!pick(block) || block.type === 'opaque' || block.extra?.[name] === undefined) return [];
        return [{ ...bare(block), extra: { [name]: block.extra[name] } } as Block];
      });
    return blocks.length === 0 ? undefined : only(request, { messages: [{ role: 'user', blocks }] });
  };
}

const isMedia =
  (media: MediaBlock['media'], ...sources: MediaBlock['source']['type'][]) =>
  (block: Block): boolean =>
    block.type === 'media' && block.media === media && sources.includes(block.source.type);

/** The calls and results of a conversation, with the tools they are of. */
function takingResults(
  pick: (result: Extract<Block, { type: 'tool-result' }>) => boolean,
): RequestFeature['take'] {
  return (request) => {
    const results = request.messages
      .flatMap(({ blocks }) => blocks)
      .flatMap((block) => (block.type === 'tool-result' && pick(block) ? [block] : []));
    const ids = new Set(results.map(({ callId }) => callId));
    const calls = request.messages
      .flatMap(({ blocks }) => blocks)
      .flatMap((block) => (block.type === 'tool-call' && ids.has(block.id) ? [block] : []));
    if (results.length === 0 || calls.length === 0) return undefined;
    const tools = plain(
      calls.map(({ name }) => request.tools?.find((tool) => tool.name === name) ?? { name }),
    );
    return only(request, {
      messages: [
        hello,
        { role: 'assistant', blocks: calls.map(bare) },
        { role: 'user', blocks: results.map(bare) },
      ],
      tools: tools.filter((tool, i) => tools.findIndex(({ name }) => name === tool.name) === i),
    });
  };
}

function takingTools(
  pick: (tool: NonNullable<ChatRequest['tools']>[number]) => boolean,
): RequestFeature['take'] {
  return (request) => {
    const tools = request.tools?.filter(pick) ?? [];
    const bared = tools.map(({ extra: _, ...tool }) => tool);
    return tools.length === 0 ? undefined : only(request, { tools: bared });
  };
}

/** Functions, and nothing special about them. */
function plain(tools: readonly Tool[]): Tool[] {
  return tools.flatMap(({ name, description, schema, opaque }) =>
    opaque === undefined ? [{ name, ...(description && { description }), ...(schema && { schema }) }] : [],
  );
}

function takingChoice(...types: ToolChoice['type'][]): RequestFeature['take'] {
  return (request) => {
    const { toolChoice } = request;
    const tools = plain(request.tools ?? []);
    if (toolChoice === undefined || tools.length === 0 || !types.includes(toolChoice.type)) return undefined;
    if (toolChoice.type !== 'allowed') return only(request, { tools, toolChoice });
    const names = toolChoice.names.filter((name) => tools.some((tool) => tool.name === name));
    return names.length === 0 ? undefined : only(request, { tools, toolChoice: { ...toolChoice, names } });
  };
}

type Tool = NonNullable<ChatRequest['tools']>[number];
const isFunction = ({ opaque, strict }: Tool): boolean => opaque === undefined && strict !== true;
const hasArguments = ({ schema }: Tool): boolean => JSON.stringify(schema ?? {}).includes('"properties":{"');

function takeInstructions(later: boolean): RequestFeature['take'] {
  return (request) => {
    const first = request.messages.findIndex(({ role }) => role !== 'system');
    const begins = first < 0 ? request.messages.length : first;
    const found = request.messages.filter(({ role }, i) => role === 'system' && i < begins !== later);
    if (found.length === 0) return undefined;
    const plain = found.slice(0, 1).map(
      ({ role, blocks, apart }): Message => ({
        role,
        blocks: blocks.flatMap((block): Block[] =>
          block.type === 'text' ? [{ type: 'text', text: block.text }] : [],
        ),
        ...(apart && { apart }),
      }),
    );
    return only(request, { messages: later ? [hello, ...plain] : [...plain, hello] });
  };
}

/** What was thought before, as far as it can be read. */
function takeThoughts(request: ChatRequest): ChatRequest | undefined {
  const thought = request.messages
    .flatMap(({ blocks }) => blocks)
    .find((block) => block.type === 'reasoning' && block.text !== '');
  if (thought?.type !== 'reasoning') return undefined;
  const said: Block[] = [
    { type: 'reasoning', text: thought.text },
    { type: 'text', text: 'Hello' },
  ];
  return only(request, { messages: [hello, { role: 'assistant', blocks: said }, hello] });
}

function takingReasoning(name: 'effort' | 'budgetTokens' | 'adaptive' | 'off'): RequestFeature['take'] {
  return (request) => {
    const { reasoning, maxTokens } = request;
    if (reasoning === undefined) return undefined;
    const { display: _, ...wish } = reasoning;
    const found =
      name === 'off' ? wish.enabled === false : wish[name] !== undefined && wish.enabled !== false;
    return found ? only(request, { reasoning: wish, maxTokens }) : undefined;
  };
}

const noSignature = ({ type }: Block): boolean => type === 'text' || type === 'media';

export const requestFeatures: readonly RequestFeature[] = [
  { group: 'Content', name: 'text', take: (request) => only(request, {}) },
  { group: 'Content', name: 'instructions', take: takeInstructions(false) },
  { group: 'Content', name: 'instructions later on', take: takeInstructions(true) },
  { group: 'Content', name: 'images', take: takingBlocks(isMedia('image', 'base64')) },
  { group: 'Content', name: 'images by address', take: takingBlocks(isMedia('image', 'url')) },
  {
    group: 'Content',
    name: 'detail of images',
    take: takingExtra('detail', isMedia('image', 'base64', 'url')),
  },
  { group: 'Content', name: 'documents', take: takingBlocks(isMedia('document', 'base64', 'text')) },
  { group: 'Content', name: 'documents by address', take: takingBlocks(isMedia('document', 'url')) },
  {
    group: 'Content',
    name: 'files by id',
    take: takingBlocks((block) => block.type === 'media' && block.source.type === 'file'),
  },
  {
    group: 'Content',
    name: 'documents to cite',
    take: takingExtra('citations', isMedia('document', 'base64', 'url', 'text')),
  },
  { group: 'Content', name: 'audio', take: takingBlocks(isMedia('audio', 'base64')) },
  { group: 'Tools', name: 'tools', take: takingTools((tool) => isFunction(tool) && hasArguments(tool)) },
  {
    group: 'Tools',
    name: 'tools without arguments',
    take: takingTools((tool) => isFunction(tool) && !hasArguments(tool)),
  },
  {
    group: 'Tools',
    name: 'strict tools',
    take: takingTools((tool) => tool.opaque === undefined && tool.strict === true),
  },
  {
    group: 'Tools',
    name: 'tools only one vendor has',
    take: takingTools(({ opaque }) => opaque !== undefined),
  },
  { group: 'Tools', name: 'no call', take: takingChoice('none') },
  { group: 'Tools', name: 'any call', take: takingChoice('required') },
  { group: 'Tools', name: 'this call', take: takingChoice('tool') },
  { group: 'Tools', name: 'one of some', take: takingChoice('allowed') },
  {
    group: 'Tools',
    name: 'one call at a time',
    take: (request) =>
      request.parallelTools === false && request.tools
        ? only(request, { tools: plain(request.tools), parallelTools: false })
        : undefined,
  },
  {
    group: 'Tools',
    name: 'results',
    take: takingResults(({ isError, blocks }) => !isError && blocks.every(({ type }) => type === 'text')),
  },
  { group: 'Tools', name: 'results that failed', take: takingResults(({ isError }) => isError === true) },
  {
    group: 'Tools',
    name: 'results with images',
    take: takingResults(
      ({ blocks }) => blocks.some(isMedia('image', 'base64', 'url')) && blocks.every(noSignature),
    ),
  },
  {
    group: 'Form and number of answers',
    name: 'JSON',
    take: (request) =>
      request.format?.type === 'json' ? only(request, { format: request.format }) : undefined,
  },
  {
    group: 'Form and number of answers',
    name: 'JSON by schema',
    take: (request) =>
      request.format?.type === 'schema' ? only(request, { format: request.format }) : undefined,
  },
  { group: 'Form and number of answers', name: 'token limit', take: taking('maxTokens') },
  { group: 'Form and number of answers', name: 'stop sequences', take: taking('stop') },
  {
    group: 'Form and number of answers',
    name: 'several answers',
    take: (request) => ((request.n ?? 1) > 1 ? only(request, { n: request.n }) : undefined),
  },
  { group: 'Form and number of answers', name: 'log-probabilities', take: taking('logprobs') },
  { group: 'Sampling', name: 'temperature, top_p', take: taking('temperature', 'topP') },
  { group: 'Sampling', name: 'top_k', take: taking('topK') },
  { group: 'Sampling', name: 'seed', take: taking('seed') },
  { group: 'Sampling', name: 'penalties', take: taking('presencePenalty', 'frequencyPenalty') },
  { group: 'Sampling', name: 'logit bias', take: taking('logitBias') },
  { group: 'Reasoning', name: 'effort', take: takingReasoning('effort') },
  { group: 'Reasoning', name: 'budget', take: takingReasoning('budgetTokens') },
  { group: 'Reasoning', name: 'as the model likes', take: takingReasoning('adaptive') },
  { group: 'Reasoning', name: 'none', take: takingReasoning('off') },
  { group: 'Reasoning', name: 'thoughts handed back', take: takeThoughts },
  {
    group: 'Beside the conversation',
    name: 'cache marks',
    take: takingExtra('cache_control', ({ type }) => type === 'text'),
  },
  { group: 'Beside the conversation', name: 'end user', take: taking('user') },
  { group: 'Beside the conversation', name: 'metadata', take: taking('metadata') },
  { group: 'Beside the conversation', name: 'service tier', take: taking('serviceTier') },
];
