/** Google's official client, and what it understands. */
import {
  ApiError,
  type FunctionCall,
  type GenerateContentResponse,
  type GoogleGenAI,
  type Part,
} from '@google/genai';
import { type Client, hello } from './client.ts';
import { choiceOf, type Understood, usageOf } from './understood.ts';

export const geminiClient = (client: GoogleGenAI): Client => ({
  name: '@google/genai',
  dialect: 'gemini',
  choices: Number.POSITIVE_INFINITY,
  error: ApiError,
  ask: async ({ model, stream, tools }) => {
    const functionDeclarations = tools.map((name) => ({ name }));
    const config = {
      thinkingConfig: { includeThoughts: true },
      ...(functionDeclarations.length > 0 && { tools: [{ functionDeclarations }] }),
    };
    const ask = { model, contents: hello, config };
    return understandContent(
      stream
        ? await Array.fromAsync(await client.models.generateContentStream(ask))
        : [await client.models.generateContent(ask)],
    );
  },
});

/** Every chunk is a piece of the answer; the last usage counts, and the last word on why it ended. */
function understandContent(chunks: readonly GenerateContentResponse[]): Understood {
  const candidates = chunks.flatMap((chunk) => chunk.candidates ?? []);
  const usage = chunks.findLast(({ usageMetadata }) => usageMetadata !== undefined)?.usageMetadata;
  const blocked = chunks.find(({ promptFeedback }) => promptFeedback?.blockReason)?.promptFeedback;
  const indices = [...new Set(candidates.map(({ index }) => index ?? 0))].sort((a, b) => a - b);
  const choices = indices.map((wanted) => {
    const own = candidates.filter(({ index }) => (index ?? 0) === wanted);
    const parts = own.flatMap(({ content }) => content?.parts ?? []);
    return choiceOf({
      text: parts.map(({ text, thought }) => (thought ? '' : (text ?? ''))).join(''),
      thought: parts.map(({ text, thought }) => (thought ? (text ?? '') : '')).join(''),
      calls: gatherCalls(parts),
      stop: own.findLast(({ finishReason }) => finishReason !== undefined)?.finishReason,
    });
  });
  if (blocked !== undefined) choices.push(choiceOf({ text: '', calls: [], stop: 'SAFETY' }));
  return {
    choices,
    usage: usageOf(
      (usage?.promptTokenCount ?? 0) + (usage?.toolUsePromptTokenCount ?? 0),
      usage?.cachedContentTokenCount,
      (usage?.candidatesTokenCount ?? 0) + (usage?.thoughtsTokenCount ?? 0),
    ),
  };
}

/**
 * A call may come in parts, value by value (`partialArgs`); its name then stands in the first. Calls that are answered
 * in the same breath were the provider's own to carry out.
 */
function gatherCalls(parts: readonly Part[]): { name: string; input: Record<string, unknown> }[] {
  const calls: { name: string; input: Record<string, unknown> }[] = [];
  for (const { functionCall, functionResponse } of parts) {
    if (functionResponse !== undefined) {
      calls.splice(
        calls.findIndex(({ name }) => name === functionResponse.name),
        1,
      );
    } else if (functionCall?.name) {
      calls.push({ name: functionCall.name, input: { ...functionCall.args } });
    }
    if (functionCall !== undefined) addPartialArgs(calls.at(-1)?.input ?? {}, functionCall);
  }
  return calls;
}

/** Paths as far as recordings have them: `$.name`. Text that stands for all arguments is none: they were cut short. */
function addPartialArgs(input: Record<string, unknown>, { partialArgs = [] }: FunctionCall): void {
  for (const { jsonPath = '', stringValue, numberValue, boolValue } of partialArgs) {
    const name = jsonPath.replace(/^\$\./, '');
    const value = stringValue ?? numberValue ?? boolValue;
    if (value === undefined || jsonPath === '$') continue;
    input[name] = typeof value === 'string' ? `${input[name] ?? ''}${value}` : value;
  }
}
