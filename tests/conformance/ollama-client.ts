/** Ollama's client as a witness of what a recording says. */
import { Ollama } from 'ollama';
import { type Ask, hello } from './client.ts';
import { choiceOf, usageOf } from './understood.ts';

export function askOllama(host: string): Ask {
  const client = new Ollama({ host });
  return async ({ model, stream }) => {
    const ask = { model, messages: [{ role: 'user', content: hello }] };
    const chunks = stream
      ? await Array.fromAsync(await client.chat({ ...ask, stream: true }))
      : [await client.chat({ ...ask, stream: false })];
    const last = chunks.at(-1);
    const calls = chunks.flatMap(({ message }) => message.tool_calls ?? []);
    return {
      choices: [
        choiceOf({
          text: chunks.map(({ message }) => message.content).join(''),
          thought: chunks.map(({ message }) => message.thinking ?? '').join(''),
          calls: calls.map((call) => ({ name: call.function.name, input: call.function.arguments })),
          stop: last?.done_reason,
        }),
      ],
      usage: usageOf(last?.prompt_eval_count, 0, last?.eval_count),
    };
  };
}
