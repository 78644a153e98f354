/** Images, documents and sounds named by their address, for models that take them by value only. */
import type { Block, ChatRequest, MediaBlock, Message } from '../core/chat.ts';
import { clientGone, GatewayError } from '../core/error.ts';
import type { Expressible } from '../core/loss.ts';
import { sniffMimeType } from '../dialects/media-type.ts';
import { FetchError, type Fetched, fetchUrl, isPublic } from './fetch-url.ts';

type Inline = Extract<MediaBlock['source'], { type: 'base64' }>;

/** `public`: the internet only. `any`: also what the gateway reaches in its own network. */
type Reach = 'public' | 'any';

/** What has been fetched for a call, by address. */
export type FetchedMedia = Map<string, Inline>;

/** Something a target takes by value only. */
export interface Wanted {
  url: string;
  media: MediaBlock['media'];
  /** Where it stands: `messages[0].content[1]`. */
  path: string;
}

/** Each of them, and all of a call together. */
const maxBytes = 20 * 1024 * 1024;
const maxTotalBytes = 50 * 1024 * 1024;
const maxCount = 50;
const patienceMs = 10_000;
/** Calls that fetch at once: what they fetch is held in memory. */
const maxCalls = 32;
let calls = 0;

/** What `request` names by its address and a target with these means takes by value. Usually nothing. */
export function listWanted({ messages }: ChatRequest, can: Expressible): Wanted[] {
  const wanted: Wanted[] = [];
  messages.forEach(({ blocks }, i) => {
    addWanted(wanted, blocks, `messages[${i}]`, can.media, can);
  });
  return wanted;
}

function addWanted(
  wanted: Wanted[],
  blocks: readonly Block[],
  path: string,
  takes: ReadonlySet<string>,
  can: Expressible,
): void {
  blocks.forEach((block, i) => {
    const place = `${path}.content[${i}]`;
    if (block.type === 'tool-result') addWanted(wanted, block.blocks, place, can.toolResultMedia, can);
    else if (isWanted(block, takes)) wanted.push({ url: block.source.url, media: block.media, path: place });
  });
}

interface ByAddress extends MediaBlock {
  source: Extract<MediaBlock['source'], { type: 'url' }>;
}

function isWanted(block: Block, takes: ReadonlySet<string>): block is ByAddress {
  return (
    block.type === 'media' &&
    block.source.type === 'url' &&
    /^(https?|data):/i.test(block.source.url) &&
    !takes.has(`${block.media}:url`) &&
    takes.has(`${block.media}:base64`)
  );
}

/** The request with all that was fetched in its place, where the target wants it so. */
export function withFetched(
  request: ChatRequest,
  can: Expressible,
  fetched: FetchedMedia | undefined,
): ChatRequest {
  if (fetched === undefined) return request;
  const place = (blocks: Block[], takes: ReadonlySet<string>): Block[] =>
    blocks.map((block) => {
      if (block.type === 'tool-result') return { ...block, blocks: place(block.blocks, can.toolResultMedia) };
      const source = isWanted(block, takes) ? fetched.get(block.source.url) : undefined;
      return source === undefined ? block : { ...block, source };
    });
  const messages = request.messages.map(
    (message): Message => ({ ...message, blocks: place(message.blocks, can.media) }),
  );
  return { ...request, messages };
}

/**
 * Fetches what is wanted and not there yet.
 * @param name how the client calls a path. @param signal aborted when the client leaves.
 * @throws GatewayError `bad_request` naming the first that could not be fetched.
 */
export async function fetchMedia(
  wanted: readonly Wanted[],
  fetched: FetchedMedia,
  reach: Reach,
  signal: AbortSignal,
  name: (path: string) => string,
): Promise<void> {
  const missing = new Map<string, Wanted>();
  for (const each of wanted) if (!fetched.has(each.url)) missing.set(each.url, each);
  if (missing.size > maxCount)
    throw refused(wanted[maxCount]!, `a call may name at most ${maxCount} addresses`, name);
  if (calls >= maxCalls) {
    throw new GatewayError(
      'rate_limited',
      'Too many calls have their images and files fetched just now; retry.',
      {
        retryAfterS: 1,
      },
    );
  }
  calls++;
  const enough = new AbortController();
  const stop = AbortSignal.any([signal, enough.signal, AbortSignal.timeout(patienceMs)]);
  const budget = { bytes: maxTotalBytes };
  try {
    const all = [...missing.values()].map(async (each) => {
      fetched.set(each.url, await fetchOne(each, reach, stop, budget, name));
    });
    await Promise.all(all);
  } catch (thrown) {
    throw signal.aborted ? clientGone() : thrown;
  } finally {
    // Where one is missing, the others are of no use.
    enough.abort();
    calls--;
  }
}

async function fetchOne(
  wanted: Wanted,
  reach: Reach,
  signal: AbortSignal,
  budget: { bytes: number },
  name: (path: string) => string,
): Promise<Inline> {
  let size = 0;
  const take = (bytes: number): void => {
    size += bytes;
    budget.bytes -= bytes;
    if (size > maxBytes) throw new FetchError(`it is larger than ${maxBytes} bytes`);
    if (budget.bytes < 0) throw new FetchError(`all of them together are larger than ${maxTotalBytes} bytes`);
  };
  try {
    const { url } = wanted;
    const found = /^data:/i.test(url)
      ? readDataUrl(url, take)
      : await fetchUrl(url, { allows: reach === 'any' ? anywhere : isPublic, signal, take });
    return inlineOf(found, wanted);
  } catch (thrown) {
    if (thrown instanceof FetchError) throw refused(wanted, thrown.message, name);
    throw thrown;
  }
}

const anywhere = (): boolean => true;

/** https://www.rfc-editor.org/rfc/rfc2397 */
function readDataUrl(url: string, take: (bytes: number) => void): Fetched {
  const comma = url.indexOf(',');
  if (comma < 0) throw new FetchError('it is no data: URL');
  const [contentType = '', ...parameters] = url.slice(5, comma).toLowerCase().split(';');
  const data = url.slice(comma + 1);
  try {
    const text = decodeURIComponent(data);
    const bytes = Buffer.from(text, parameters.includes('base64') ? 'base64' : 'utf8');
    take(bytes.length);
    return { bytes, contentType: contentType || 'text/plain' };
  } catch (error) {
    throw error instanceof FetchError ? error : new FetchError('it is no data: URL');
  }
}

/** Types that may stand for a medium; documents are all the rest. */
const prefixes = { image: 'image/', audio: 'audio/', video: 'video/' } as const;

function inlineOf({ bytes, contentType }: Fetched, { media }: Wanted): Inline {
  if (bytes.length === 0) throw new FetchError('it is empty');
  const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64');
  // How it begins tells more than what its server says.
  const mimeType = sniffMimeType(data) ?? contentType;
  const fits =
    media === 'document'
      ? mimeType !== '' && mimeType !== 'application/octet-stream' && !/^(image|audio|video)\//.test(mimeType)
      : mimeType.startsWith(prefixes[media]);
  if (!fits)
    throw new FetchError(
      `what is there is ${mimeType === '' ? 'of no known type' : mimeType}, not ${article(media)}`,
    );
  return { type: 'base64', mimeType, data };
}

function article(media: MediaBlock['media']): string {
  return media === 'image' || media === 'audio' ? `an ${media}` : `a ${media}`;
}

const maxShownChars = 200;

function refused({ url, media, path }: Wanted, why: string, name: (path: string) => string): GatewayError {
  const param = name(path);
  const shown = url.length > maxShownChars ? `${url.slice(0, maxShownChars)}...` : url;
  return new GatewayError(
    'bad_request',
    `${param}: the model behind this route takes ${media}s by value only, and ${shown} could not be fetched: ${why}. ` +
      'Send it as base64, or mend the address.',
    { param },
  );
}
