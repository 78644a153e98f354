/** What counts as text in a request's body, and what does not. */
import { describe, expect, test } from 'bun:test';
import { estimateTokens } from '../../src/gateway/estimate-tokens.ts';

const bytesOf = (value: unknown): Uint8Array =>
  new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value));
const bodyOf = (...content: unknown[]) => ({ model: 'm', messages: [{ role: 'user', content }] });
const tokensOf = (...content: unknown[]): number => estimateTokens(bytesOf(bodyOf(...content)));

const words = 'The quick brown fox jumps over the lazy dog, twice. ';
const prose = (bytes: number): string => words.repeat(Math.ceil(bytes / words.length)).slice(0, bytes);

/** The same bytes each time, as noisy as those of an image. */
function noise(bytes: number): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(bytes);
  for (let i = 0, state = 1; i < bytes; i++) {
    state = Math.imul(state ^ (state >>> 15), state | 1) + 0x6d2b79f5;
    out[i] = state >>> 11;
  }
  return out;
}
const base64 = (bytes: number): string => Buffer.from(noise(bytes)).toString('base64');
const image = (data: string) => ({
  type: 'image',
  source: { type: 'base64', media_type: 'image/png', data },
});

describe('text', () => {
  test.each([100, 60_000, 65_000, 600_000, 4_000_000, 16_000_000])(
    'of %i bytes is four bytes a token',
    (size) => {
      const tokens = tokensOf({ type: 'text', text: prose(size) });
      expect(tokens).toBeWithin(size / 4, size / 4 + 40);
    },
  );

  test.each([
    ['one word', 'x'.repeat(1_000_000)],
    ['hex', Buffer.from(noise(500_000)).toString('hex')],
    ['capitals', 'ABC'.repeat(300_000)],
    ['Chinese', '他说了一些话'.repeat(50_000)],
    ['lines', `${'0123456789 is a Number\n'.repeat(50_000)}`],
    ['code', 'let aB1=(c)=>{d.e[1]=F(2);};'.repeat(40_000)],
    ['what only begins with data', `${base64(90_000)} ${prose(900_000)}`],
    ['words with data among them', `${prose(500_000)}![x](data:image/png;base64,${base64(300_000)})`],
  ])('is text: %s', (_, text) => {
    const size = bytesOf({ text }).length;
    expect(tokensOf({ type: 'text', text })).toBeWithin(size / 4, size / 4 + 40);
  });

  test('in escapes is text as well', () => {
    const escaped = '\\u4E2D\\u56FD\\u8BDD'.repeat(40_000);
    const body = `{"messages":[{"content":"${escaped}"}]}`;
    expect(estimateTokens(bytesOf(body))).toBe(Math.ceil(body.length / 4));
  });

  test('in many short strings is text', () => {
    const body = bytesOf(Array.from({ length: 50_000 }, (_, i) => ({ id: `Ab${i}`, is: true })));
    expect(estimateTokens(body)).toBe(Math.ceil(body.length / 4));
  });
});

describe('data', () => {
  test.each([
    ['an image', (data: string) => image(data)],
    [
      'a URL',
      (data: string) => ({ type: 'image_url', image_url: { url: `data:image/jpeg;base64,${data}` } }),
    ],
    [
      'a file',
      (data: string) => ({
        type: 'file',
        file: { filename: 'a.pdf', file_data: `data:application/pdf;base64,${data}` },
      }),
    ],
    ['sound', (data: string) => ({ type: 'input_audio', input_audio: { format: 'wav', data } })],
    ['base64 for URLs', (data: string) => image(data.replaceAll('+', '-').replaceAll('/', '_'))],
    ['base64 in lines', (data: string) => image(data.replace(/.{76}/g, '$&\r\n'))],
    ['JSON in a string', (data: string) => ({ type: 'tool_result', content: JSON.stringify({ data }) })],
  ])('is left out: %s', (_, wrap) => {
    const tokens = tokensOf({ type: 'text', text: 'What is this?' }, wrap(base64(450_000)));
    expect(tokens).toBeWithin(10, 80);
  });

  test('is left out where slashes are escaped', () => {
    const body = JSON.stringify(bodyOf(image(base64(450_000)))).replaceAll('/', '\\/');
    expect(estimateTokens(bytesOf(body))).toBeLessThan(80);
  });

  test('is left out wherever it stands, and the text between counts', () => {
    const parts = [3000, 40_000, 700, 200_000, 2500].flatMap((size) => [
      image(base64(size)),
      { type: 'text', text: prose(size) },
    ]);
    const text =
      bytesOf(bodyOf(...parts)).length -
      [3000, 40_000, 200_000, 2500].reduce((sum, size) => sum + Math.ceil(size / 3) * 4, 0);
    expect(tokensOf(...parts)).toBe(Math.ceil(text / 4));
  });

  test('that never ends is no more than what is there', () => {
    expect(estimateTokens(bytesOf(`"${base64(100_000)}`))).toBeGreaterThan(0);
  });
});
