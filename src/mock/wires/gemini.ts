/** Writes the mock's answers on the wire of Gemini's generateContent. */
import { cutText, type Part, type Plan, sign, type Tokens } from '../plan.ts';
import { google } from '../voices/google.ts';
import { type Event, type Turn, unnamed, type Wire } from '../wire.ts';
import { readGemini } from './gemini-ask.ts';

export const gemini: Wire = {
  keys: ['x-goog-api-key', 'authorization', '?key'],
  ids: { answer: '', call: 'call_' },
  voice: google,
  ask: readGemini,
  whole: (turn) => {
    const { plan, ask } = turn;
    const parts = plan.parts.flatMap((part, at) => writePart(part, plan, at, ask.showsReasoning));
    const candidates = Array.from({ length: ask.n }, (_, index) => candidateOf(index, parts, plan));
    return responseOf(turn, candidates, plan.usage);
  },
  events: writeEvents,
  counted: (tokens) => ({ totalTokens: tokens, promptTokensDetails: inText(tokens) }),
  listed: (models) => ({
    models: models.map((name) => ({
      name: `models/${name}`,
      displayName: name,
      inputTokenLimit: 1_048_576,
      outputTokenLimit: 65_536,
      supportedGenerationMethods: ['generateContent', 'countTokens'],
    })),
  }),
};

function inText(tokenCount: number): object[] {
  return [{ modality: 'TEXT', tokenCount }];
}

/** Thoughts are counted beside the candidates, not among them. */
function writeUsage(usage: Tokens): object {
  return {
    promptTokenCount: usage.input,
    candidatesTokenCount: usage.output - usage.reasoning,
    totalTokenCount: usage.input + usage.output,
    ...(usage.cached > 0 && { cachedContentTokenCount: usage.cached }),
    ...(usage.reasoning > 0 && { thoughtsTokenCount: usage.reasoning }),
    promptTokensDetails: inText(usage.input),
  };
}

function responseOf({ id, model }: Turn, candidates: object[], usage: Tokens | undefined): object {
  const told = usage && { usageMetadata: writeUsage(usage) };
  return { candidates, ...told, modelVersion: model, responseId: id };
}

/** Calls end a turn like anything else; a refusal has no content. */
function candidateOf(index: number, parts: object[], { stop }: Plan): object {
  if (stop === 'refusal') {
    const safetyRatings = [
      { category: 'HARM_CATEGORY_DANGEROUS_CONTENT', probability: 'HIGH', blocked: true },
    ];
    return { finishReason: 'SAFETY', index, safetyRatings };
  }
  const finishReason = stop === 'length' ? 'MAX_TOKENS' : 'STOP';
  return { content: contentOf(parts), finishReason, index };
}

function contentOf(parts: object[]): object {
  return { ...(parts.length > 0 && { parts }), role: 'model' };
}

/** State of the model stands on the part after its thoughts, and on the first of its calls. */
function signatureOf({ parts }: Plan, at: number): { thoughtSignature?: string } {
  const part = parts[at];
  const before = parts[at - 1];
  if (before?.type === 'reasoning') return { thoughtSignature: before.signature };
  if (part?.type === 'tool-call' && before?.type !== 'tool-call')
    return { thoughtSignature: sign(part.input) };
  return {};
}

function writePart(part: Part, plan: Plan, at: number, shows: boolean): object[] {
  switch (part.type) {
    case 'reasoning':
      return shows && !part.redacted ? [{ text: part.text, thought: true }] : [];
    case 'tool-call': {
      // Most models name no ids: what a function gave back is told by its name and order.
      const functionCall = { name: part.name, args: JSON.parse(part.input) };
      return [{ functionCall, ...signatureOf(plan, at) }];
    }
    case 'text':
      return [{ text: part.text, ...signatureOf(plan, at) }];
    default:
      return [];
  }
}

/** Every event is an answer in small; usage counts up, and the state of a text comes with the end of it. */
function writeEvents(turn: Turn): Event[] {
  const { plan, ask } = turn;
  const events: Event[] = [];
  const soFar = plan.usage && { ...plan.usage, output: 0, reasoning: 0 };
  const add = (candidate: object, usage = soFar): void => {
    events.push(unnamed(responseOf(turn, [candidate], usage)));
  };
  for (let index = 0; index < ask.n; index++) {
    const said = (part: object): void => add({ content: contentOf([part]), index });
    let last: object[] = plan.parts.length > 0 ? [{ text: '' }] : [];
    plan.parts.forEach((part, at) => {
      if (part.type === 'tool-call') writePart(part, plan, at, true).forEach(said);
      if (part.type === 'reasoning' && ask.showsReasoning && !part.redacted) {
        for (const text of cutText(part.text, plan.pieceLength)) said({ text, thought: true });
      }
      if (part.type === 'text') {
        for (const text of cutText(part.text, plan.pieceLength)) said({ text });
        last = [{ text: '', ...signatureOf(plan, at) }];
      }
    });
    add(candidateOf(index, last, plan), plan.usage);
  }
  return events;
}
