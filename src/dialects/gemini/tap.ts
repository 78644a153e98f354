/** Watches a relayed stream of Gemini for usage, its finish and errors. */
import { GatewayError } from '../../core/error.ts';
import { isObject, type JsonObject } from '../../core/json.ts';
import { type Usage, withSearches } from '../../core/usage.ts';
import type { Tap } from '../dialect.ts';
import { classifyErrorPayload } from '../upstream-error.ts';
import { parseChunks, partsOf, readBlock } from './answer.ts';
import { textOf } from './read-part.ts';
import { addQueries, readUsage } from './usage.ts';

/** Events without any of these say no more than text and how much of it there is, once the answer has begun. */
const telling = /"(?:finishReason|error|promptFeedback|webSearchQueries)"|"index": ?[1-9]/;

export const tapMarkers: readonly string[] = [
  '"finishReason"',
  '"error"',
  '"promptFeedback"',
  '"usageMetadata"',
  '"webSearchQueries"',
  // The first of a candidate but the first may come late.
  '"index"',
];

export class GeminiTap implements Tap {
  meaningful = false;
  error: GatewayError | undefined;
  /** There is no last word: usage may come with every event until the bytes end. */
  readonly terminated = false;
  private counted: Usage | undefined;
  /** The last event that was not understood yet but may hold a count: nearly all do, and the last one counts. */
  private unread = '';
  private blocked = false;
  private readonly queries = new Set<string>();
  /** How each candidate that was seen has ended; '' for those that have not. */
  private readonly finishes = new Map<number, string>();

  get usage(): Usage | undefined {
    if (this.unread !== '') {
      const chunks = parseChunks(this.unread);
      if (!(chunks instanceof GatewayError)) for (const chunk of chunks) this.count(chunk);
      this.unread = '';
    }
    return withSearches(this.counted, this.queries.size);
  }

  get complete(): boolean {
    const { finishes } = this;
    if (finishes.size === 0) return this.blocked;
    for (const finish of finishes.values()) if (finish === '' && !this.blocked) return false;
    return true;
  }

  push(_event: string, data: string): boolean {
    if (data === '') return true;
    if (this.meaningful && !telling.test(data)) {
      if (data.includes('"usageMetadata"')) this.unread = data;
      return true;
    }
    const chunks = parseChunks(data);
    if (chunks instanceof GatewayError) this.error ??= chunks;
    else for (const chunk of chunks) this.read(chunk);
    return true;
  }

  private read(chunk: JsonObject): void {
    if (chunk.error !== undefined && chunk.error !== null) {
      this.error ??= classifyErrorPayload(chunk);
      return;
    }
    this.count(chunk);
    if (readBlock(chunk) !== '') {
      this.blocked = true;
      this.meaningful = true;
    }
    if (!Array.isArray(chunk.candidates)) return;
    addQueries(this.queries, chunk.candidates);
    chunk.candidates.forEach((candidate, i) => {
      if (isObject(candidate)) this.readCandidate(candidate, i);
    });
  }

  private readCandidate(candidate: JsonObject, position: number): void {
    const index = typeof candidate.index === 'number' ? candidate.index : position;
    const finish = textOf(candidate.finishReason);
    this.finishes.set(index, finish === '' ? (this.finishes.get(index) ?? '') : finish);
    for (const part of partsOf(candidate)) {
      if (part.text !== '') this.meaningful = true;
    }
    if (finish !== '') this.meaningful = true;
  }

  private count(chunk: JsonObject): void {
    const usage = readUsage(chunk.usageMetadata);
    if (usage === undefined) return;
    this.counted = usage;
    this.unread = '';
  }
}
