/** How much is fetched for a call is bounded: each file, all of them, and how many. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { ChatRequest, MediaBlock } from '../../src/core/chat.ts';
import { GatewayError } from '../../src/core/error.ts';
import type { Expressible } from '../../src/core/loss.ts';
import { type FetchedMedia, fetchMedia, listWanted, withFetched } from '../../src/gateway/fetch-media.ts';

const none: ReadonlySet<string> = new Set();
const can = (...media: string[]): Expressible => ({
  params: none as never,
  media: new Set(media),
  toolResultMedia: new Set(media),
  meaning: none,
});
const inline = can('image:base64', 'document:base64', 'audio:base64');

const megabyte = new Uint8Array(1024 * 1024).fill(65);
let server: ReturnType<typeof Bun.serve>;
beforeAll(() => {
  server = Bun.serve({
    port: 0,
    fetch({ url }) {
      const [, size, type = 'application/pdf'] = new URL(url).pathname.split('/').map(decodeURIComponent);
      let left = Number(size);
      const body = new ReadableStream({
        pull(controller) {
          if (left-- > 0) controller.enqueue(megabyte);
          else controller.close();
        },
      });
      return new Response(body, { headers: type === '' ? {} : { 'content-type': type } });
    },
  });
});
afterAll(() => server.stop(true));

const at = (megabytes: number, name: string, type = 'application/pdf'): string =>
  `http://127.0.0.1:${server.port}/${megabytes}/${encodeURIComponent(type)}?${name}`;

function requestOf(media: MediaBlock['media'], ...urls: string[]): ChatRequest {
  const blocks = urls.map((url): MediaBlock => ({ type: 'media', media, source: { type: 'url', url } }));
  return { dialect: 'openai-chat', model: 'm', messages: [{ role: 'user', blocks }], stream: false };
}

async function fetchFor(request: ChatRequest, fetched: FetchedMedia = new Map()): Promise<FetchedMedia> {
  const never = new AbortController().signal;
  await fetchMedia(listWanted(request, inline), fetched, 'any', never, (path) => `the client's ${path}`);
  return fetched;
}

async function failureOf(act: Promise<unknown>): Promise<GatewayError> {
  const error = await act.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(GatewayError);
  return error as GatewayError;
}

describe('what is wanted', () => {
  test('is what a target takes by value and not by address', () => {
    const request = requestOf('image', 'https://example.com/a.png', 'data:image/png,x', 's3://bucket/a.png');
    expect(listWanted(request, inline).map(({ path }) => path)).toEqual([
      'messages[0].content[0]',
      'messages[0].content[1]',
    ]);
    expect(listWanted(request, can('image:base64', 'image:url'))).toEqual([]);
    expect(listWanted(request, can('document:base64'))).toEqual([]);
  });

  test('is put in its place, in a copy', async () => {
    const request = requestOf('document', at(1, 'a'));
    const before = structuredClone(request);
    const fetched = await fetchFor(request);
    const [block] = withFetched(request, inline, fetched).messages[0]!.blocks as MediaBlock[];
    expect(block?.source).toMatchObject({ type: 'base64', mimeType: 'application/pdf' });
    expect(request).toEqual(before);
    // A target that takes the address keeps it.
    expect(withFetched(request, can('document:url', 'document:base64'), fetched)).toEqual(before);
  });

  test('is fetched once', async () => {
    const url = at(1, 'once');
    const fetched = await fetchFor(requestOf('document', url, url));
    expect([...fetched.keys()]).toEqual([url]);
    fetched.set(url, { type: 'base64', mimeType: 'x/y', data: 'kept' });
    await fetchFor(requestOf('document', url), fetched);
    expect(fetched.get(url)?.data).toBe('kept');
  });
});

describe('it is too much', () => {
  test.each<[string, () => string[], RegExp]>([
    ['when one is larger than 20 MB', () => [at(21, 'a')], /larger than 20971520 bytes/],
    [
      'when all are larger than 50 MB',
      () => [at(18, 'a'), at(18, 'b'), at(18, 'c')],
      /together are larger than 52428800/,
    ],
    [
      'when there are more than fifty',
      () => Array.from({ length: 51 }, (_, i) => at(1, `${i}`)),
      /at most 50 addresses/,
    ],
  ])('%s', async (_, urls, words) => {
    const error = await failureOf(fetchFor(requestOf('document', ...urls())));
    expect(error.kind).toBe('bad_request');
    expect(error.message).toMatch(words);
    expect(error.detail.param).toMatch(/^the client's messages\[0\]\.content\[\d+\]$/);
  });
});

describe('what it is', () => {
  test.each<[MediaBlock['media'], string, boolean]>([
    ['audio', 'audio/mpeg', true],
    ['audio', 'video/mp4', false],
    ['image', 'image/svg+xml', true],
    ['image', 'text/html', false],
    ['image', '', false],
    ['document', 'text/csv', true],
    ['document', 'image/png', false],
    ['document', '', false],
  ])('%s of the type %p is right: %p', async (media, type, fine) => {
    const fetching = fetchFor(requestOf(media, at(1, `${media} ${type}`, type)));
    if (fine) expect([...(await fetching).values()]).toMatchObject([{ mimeType: type }]);
    else
      expect((await failureOf(fetching)).message).toContain(
        `not a${media === 'document' ? '' : 'n'} ${media}`,
      );
  });
});
