/**
 * Where a client is right to read something else than the vendor's own client does, each with its reason. A test fails
 * where one of them is no longer needed.
 */
import type { Client } from './client.ts';
import type { Replayed } from './replayed.ts';
import type { Understood, UnderstoodChoice } from './understood.ts';

export interface Exception {
  file: RegExp;
  /** Names of the clients it holds for; absent: all. */
  clients?: RegExp;
  /** Only where the answer passes as bytes, or only where it is written anew; absent: both. */
  when?: 'relayed' | 'translated';
  why: string;
  /** What is read: the members that differ, or nothing at all because the client throws. */
  reading: { choice?: Partial<UnderstoodChoice>; usage?: Partial<Understood['usage']> } | 'throws';
}

export const exceptions: readonly Exception[] = [
  // The gateway tells more, or better, than the provider
  {
    file: /^cohere.*understand-local-images/,
    why: 'tokens of images stand beside those of text',
    reading: { usage: { input: 293 } },
  },
  {
    file: /azure-grok.*use-tools-without-parame/,
    when: 'translated',
    why: 'the prompt left its cached tokens out',
    reading: { usage: { input: 750 } },
  },
  {
    file: /moonshotai-reasoning/,
    when: 'translated',
    why: 'cached tokens stand where the client does not look',
    reading: { usage: { cached: 10 } },
  },
  {
    file: /test-openai-moderation-stream/,
    when: 'translated',
    why: "OpenAI's client forgets usage when a chunk follows it",
    reading: { usage: { input: 13, output: 11 } },
  },
  {
    file: /test-openai-moderation-stream/,
    clients: /^@ai-sdk\/openai \(chat\)$/,
    when: 'relayed',
    why: "OpenAI's client forgets usage when a chunk follows it, this one does not",
    reading: { usage: { input: 13, output: 11 } },
  },
  ...(
    [
      ['text.0.vercel.json', 229],
      ['text.0.vercel.stream', 291],
      ['tool-call.0.vercel.json', 215],
      ['tool-call.0.vercel.stream', 222],
    ] as const
  ).map(
    ([name, output]): Exception => ({
      file: new RegExp(`xai-${name.replaceAll('.', '\\.')}`),
      when: 'translated',
      why: 'output left reasoning out',
      reading: { usage: { output } },
    }),
  ),
  {
    file: /^openai-responses\/chatgpt-codex/,
    when: 'translated',
    why: "the last event's answer is empty: OpenAI's client believes it, what came before has calls",
    reading: {
      choice: {
        calls: ['Tokyo', 'Paris'].map((city) => ({ name: 'get_weather', input: { city } })),
        stop: 'calls',
      },
    },
  },
  {
    file: /^openai-responses\/chatgpt-codex/,
    clients: /^@ai-sdk\/openai \(responses\)$/,
    when: 'relayed',
    why: "the last event's answer is empty: OpenAI's client believes it, this one does not",
    reading: {
      choice: {
        calls: ['Tokyo', 'Paris'].map((city) => ({ name: 'get_weather', input: { city } })),
        stop: 'calls',
      },
    },
  },
  // What a client makes of an answer that passes as bytes is its own affair
  {
    file: /duplicate-message-start/,
    clients: /^@anthropic-ai\/sdk$/,
    when: 'relayed',
    why: 'it throws where a message begins twice',
    reading: 'throws',
  },
  {
    file: /opus-4-8-web-search-with-dynamic-filtering/,
    clients: /^@ai-sdk\/anthropic$/,
    why: 'it looks for the call of every tool result in one place only',
    reading: 'throws',
  },
  {
    file: /^openai-responses\/deepseek\/test-deepseek-responses-function-tool\.0/,
    clients: /^@ai-sdk\/openai \(responses\)$/,
    why: 'it reads summaries of thoughts only, not the thoughts',
    reading: { choice: { thought: '' } },
  },
  {
    file: /^openai-responses\/lmstudio/,
    clients: /^@ai-sdk\/openai \(responses\)$/,
    when: 'relayed',
    why: 'it reads summaries of thoughts only, not the thoughts',
    reading: { choice: { thought: '' } },
  },
  {
    file: /test-chat-content-filtering/,
    clients: /^@ai-sdk\/openai \(chat\)$/,
    when: 'relayed',
    why: 'it wants a message where a host blocked it',
    reading: 'throws',
  },
  {
    file: /anthropic-refusal-stream/,
    clients: /^@ai-sdk\/anthropic$/,
    why: 'it does not show why a model declined',
    reading: { choice: { text: '' } },
  },
  {
    file: /openai-chat-completions-post-a0ea5208/,
    clients: /^@ai-sdk\/openai \(chat\)$/,
    why: 'it shows the words of an audio answer as text',
    reading: { choice: { text: 'Hello! How can I help you today?' } },
  },
  {
    file: /test-open-ai-function-calls/,
    clients: /^@ai-sdk\/openai \(chat\)$/,
    why: 'it does not know the form of a call before tools',
    reading: { choice: { calls: [] } },
  },
  {
    file: /with-server-side-mcp-tools-stream/,
    clients: /^@ai-sdk\/google$/,
    why: 'it takes a call that the provider carried out itself for its own',
    reading: {
      choice: {
        calls: [
          {
            name: 'weather_server_get_weather',
            input: { endDate: '2026-02-02', location: 'Boston', startDate: '2026-02-02' },
          },
        ],
        stop: 'calls',
      },
    },
  },
  {
    file: /test-google-model-armor/,
    clients: /^@ai-sdk\/google$/,
    why: 'it does not know this reason to block an answer',
    reading: { choice: { stop: 'stop' } },
  },
  {
    file: /streaming-gpt-4-1-mini-tiny-plain-two/,
    clients: /^@ai-sdk\/openai \(chat\)$/,
    why: 'it runs the pieces of several choices together',
    reading: { choice: { text: 'cc' } },
  },
  {
    file: /llamacpp.*two-candidates-streaming/,
    clients: /^@ai-sdk\/openai \(chat\)$/,
    why: 'it runs the pieces of several choices together',
    reading: { choice: { text: 'TTideidehavenve' } },
  },
  {
    file: /(tool-call-cut-mid-arguments|streaming-gpt41-low-agent|incomplete-mid-tool-call)/,
    clients: /^@ai-sdk\/google$/,
    why: 'it drops a call whose arguments were cut short',
    reading: { choice: { calls: [] } },
  },
];

/** What the vendor's own client cannot read, and what it says: there the other clients are held to that. */
export const unreadable: readonly { file: RegExp; why: string; said: Understood }[] = [
  {
    file: /duplicate-message-start/,
    why: 'a message begins twice',
    said: {
      choices: [{ text: 'Hello, World!', thought: '', calls: [], stop: 'stop' }],
      usage: { input: 17, cached: 0, output: 227 },
    },
  },
  {
    file: /together\/test-async-chat/,
    why: 'JSON is not declared as such',
    said: {
      choices: [
        {
          text: "The sky appears blue because when sunlight enters Earth's atmosphere, it is scattered by the tiny molecules of gases such as nitrogen and oxygen, with shorter, blue wavelengths being scattered more than longer, red wavelengths.",
          thought: '',
          calls: [],
          stop: 'stop',
        },
      ],
      usage: { input: 46, cached: 0, output: 42 },
    },
  },
];

/** @param relayed the answer reaches the client as bytes. */
export function exceptionFor({ file }: Replayed, { name }: Client, relayed: boolean): Exception | undefined {
  const way = relayed ? 'relayed' : 'translated';
  return exceptions.find(
    (each) =>
      each.file.test(file) &&
      (each.clients === undefined || each.clients.test(name)) &&
      (each.when === undefined || each.when === way),
  );
}
