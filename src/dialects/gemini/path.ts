/** Paths of the Gemini API and of Vertex AI: `…/models/{model}:{method}`. */
import type { Asked } from '../dialect.ts';

/**
 * `/v1beta/models/gemini-2.5-pro:generateContent`, or Vertex AI's with project, location and publisher before it.
 * Models of other publishers are asked for as `publisher/model`; a model's name may hold slashes and colons.
 */
const callPath =
  /^\/v1(?:beta|beta1|alpha)?\/(?:projects\/[^/]+\/locations\/[^/]+\/)?(?:publishers\/([^/]+)\/)?models\/(.+)(?::|%3[Aa])(generateContent|streamGenerateContent|countTokens)$/;

/** Where clients of this dialect list models; `/v1/models` is shared with others. */
export const modelsPaths: readonly string[] = [
  '/v1beta/models',
  '/v1beta1/models',
  '/v1alpha/models',
  '/v1beta1/publishers/google/models',
];

/** What a client asks for by a path and the query after it (without `?`); undefined when it is none of this dialect's. */
export function matchCall(path: string, query: string): Asked | undefined {
  const [, publisher, name, method] = callPath.exec(path) ?? [];
  if (name === undefined) return undefined;
  const plain = decode(name);
  const model = publisher === undefined || publisher === 'google' ? plain : `${decode(publisher)}/${plain}`;
  if (method === 'countTokens') return { operation: 'count_tokens', model };
  const stream = method === 'streamGenerateContent';
  return { operation: 'chat', model, stream, array: stream && !wantsEvents(query) };
}

/** Without `alt=sse` a stream is one JSON array. `$alt` is Google's other spelling for the same. */
function wantsEvents(query: string): boolean {
  const parameters = new URLSearchParams(query);
  return (parameters.get('alt') ?? parameters.get('$alt')) === 'sse';
}

/** What is no proper escape is taken as it stands. */
export function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Path below a provider's base URL. A model is one segment, whatever is in its name; tuned ones have a place of their own. */
export function pathOf(model: string, method: string): string {
  const [, place = 'models', name = ''] = /^(?:(models|tunedModels)\/)?(.*)$/s.exec(model) ?? [];
  return `/${place}/${encodeURIComponent(name)}:${method}`;
}
