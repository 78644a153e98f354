/**
 * Cache marks of other dialects (`cache_control` of a block or tool) as cache points, which stand behind what they mark.
 * https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html
 */
import type { Message } from '../../core/chat.ts';
import { isObject, type Json, type JsonObject } from '../../core/json.ts';
import type { Family } from './family.ts';

/** Where a cache point stands: the model reads tools first, then instructions, then messages. */
export type Place = 'tools' | 'system' | 'messages';

/** The name of marks in the dialects that have them. */
export const markName = 'cache_control';

const mostPoints = 4;

interface Point {
  value: JsonObject;
  list: JsonObject[];
  place: Place;
  path: string;
}

export class CachePoints {
  private points: Point[] = [];
  /** A point of five minutes has been set: longer ones are refused after it. */
  private short = false;

  /** @param lost gets the paths of marks that cannot be said. */
  constructor(
    private readonly family: Family,
    private readonly lost: string[],
  ) {}

  /** Marks the end of `list` if `extra`, which stands at `path` in the request, asks for it. */
  mark(list: JsonObject[], extra: JsonObject | undefined, path: string, place: Place): void {
    const mark = extra?.[markName];
    if (mark === undefined || mark === null) return;
    const here = path === '' ? markName : `${path}.${markName}`;
    const at = spotIn(list);
    if (!isObject(mark) || mark.type !== 'ephemeral' || !this.takes(place) || at === undefined) {
      this.lost.push(here);
      return;
    }
    const value: JsonObject = { cachePoint: { type: 'default', ...this.lifetime(mark.ttl, here) } };
    list.splice(at, 0, value);
    this.points.push({ value, list, place, path: here });
  }

  /** Takes back the oldest points among the messages where there are more than a request may have. */
  settle(): void {
    while (this.points.length > mostPoints) {
      const oldest = Math.max(
        0,
        this.points.findIndex(({ place }) => place === 'messages'),
      );
      const [point] = this.points.splice(oldest, 1);
      if (point === undefined) return;
      point.list.splice(point.list.indexOf(point.value), 1);
      this.lost.push(point.path);
    }
  }

  /** Other models refuse the whole call; Nova only what stands behind tools. */
  private takes(place: Place): boolean {
    return this.family === 'claude' || (this.family === 'nova' && place !== 'tools');
  }

  /** Only Claude knows the word, and no hour after five minutes. Without it a point lives five minutes. */
  private lifetime(ttl: Json | undefined, path: string): JsonObject {
    const hour = ttl === '1h' && this.family === 'claude' && !this.short;
    if (!hour) this.short = true;
    if (ttl === '1h' && !hour) this.lost.push(`${path}.ttl`);
    return typeof ttl === 'string' && this.family === 'claude' ? { ttl: hour ? '1h' : '5m' } : {};
  }
}

/** A message that is marked as a whole, as one whose last block is. */
export function markLastBlock(message: Message): Message {
  const mark = message.extra?.[markName];
  const last = message.blocks.at(-1);
  if (mark === undefined || last === undefined || last.type === 'opaque') return message;
  const marked = { ...last, extra: { [markName]: mark, ...last.extra } };
  return { ...message, blocks: [...message.blocks.slice(0, -1), marked] };
}

/**
 * Where a point may stand: behind something, but not behind reasoning, another point, or a document that is no PDF or a
 * video; before those, then.
 */
function spotIn(list: readonly JsonObject[]): number | undefined {
  let at = list.length;
  while (at > 0 && isOpaqueFile(list[at - 1]!)) at--;
  const before = list[at - 1];
  if (before === undefined || before.cachePoint !== undefined || before.reasoningContent !== undefined) {
    return undefined;
  }
  return at;
}

function isOpaqueFile({ document, video }: JsonObject): boolean {
  return video !== undefined || (isObject(document) && document.format !== 'pdf');
}
