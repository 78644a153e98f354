/** Forms on their bytes: what each part is, and one field exchanged without touching a file. */
import { describe, expect, test } from 'bun:test';
import { utf8 } from '../../src/wire/bytes.ts';
import { boundaryOf, MultipartError, replacePart, scanParts } from '../../src/wire/multipart.ts';

/** A form as fetch writes it. */
async function written(fill: (form: FormData) => void): Promise<{ body: Uint8Array; boundary: string }> {
  const form = new FormData();
  fill(form);
  const request = new Request('http://x', { method: 'POST', body: form });
  return {
    boundary: boundaryOf(request.headers.get('content-type') ?? '')!,
    body: new Uint8Array(await request.arrayBuffer()),
  };
}

describe('boundary', () => {
  test.each([
    ['multipart/form-data; boundary=abc', 'abc'],
    ['multipart/form-data; boundary="a b/c"; charset=utf-8', 'a b/c'],
    ['Multipart/Form-Data;charset=utf-8;Boundary=--x', '--x'],
    ['application/json', undefined],
    ['multipart/form-data', undefined],
    ['multipart/mixed; boundary=abc', undefined],
  ])('%s → %s', (type, boundary) => {
    expect(boundaryOf(type)).toBe(boundary!);
  });
});

describe('parts', () => {
  test('are found with names, types and exact contents', async () => {
    const bytes = new Uint8Array(70_000).map((_, i) => (i * 7) & 255);
    const { body, boundary } = await written((form) => {
      form.append('model', 'whisper-1');
      form.append('empty', '');
      form.append('file', new File([bytes], 'träck "1".wav', { type: 'audio/wav' }));
      form.append('image[]', new File(['a'], 'a.png', { type: 'image/png' }));
      form.append('image[]', new File(['b'], 'b.png', { type: 'image/png' }));
      form.append('prompt', 'line\r\nbreak\r\n--not a boundary');
    });
    const parts = scanParts(body, boundary);
    expect(parts.map(({ name, type }) => [name, type])).toEqual([
      ['model', ''],
      ['empty', ''],
      ['file', 'audio/wav'],
      ['image[]', 'image/png'],
      ['image[]', 'image/png'],
      ['prompt', ''],
    ]);
    const content = (i: number) => body.subarray(parts[i]!.start, parts[i]!.end);
    expect(utf8(content(0))).toBe('whisper-1');
    expect(content(1)).toHaveLength(0);
    expect(content(2)).toEqual(bytes);
    expect(parts[2]!.filename).toContain('träck');
    expect(parts[0]!.filename).toBeUndefined();
    expect(utf8(content(5))).toBe('line\r\nbreak\r\n--not a boundary');
  });

  test('one is exchanged and no other byte changes', async () => {
    const bytes = new Uint8Array(5000).map((_, i) => (i * 31) & 255);
    const fill = (model: string) => (form: FormData) => {
      form.append('file', new File([bytes], 'a.bin'));
      form.append('model', model);
      form.append('language', 'de');
    };
    const { body, boundary } = await written(fill('provider/a-name'));
    const part = scanParts(body, boundary).find(({ name }) => name === 'model')!;
    const replaced = replacePart(body, part, 'größer');
    const parts = scanParts(replaced, boundary);
    expect(parts.map(({ name }) => name)).toEqual(['file', 'model', 'language']);
    expect(utf8(replaced, parts[1]!.start, parts[1]!.end)).toBe('größer');
    expect(replaced.subarray(parts[0]!.start, parts[0]!.end)).toEqual(bytes);
    expect(replaced.subarray(parts[1]!.end)).toEqual(body.subarray(part.end));
  });

  test('what only begins like the boundary is content', () => {
    const body = Buffer.from(
      '--ab\r\ncontent-disposition: form-data; name=x\r\n\r\n1\r\n--abc\r\n2\r\n--ab--\r\n',
    );
    const [part] = scanParts(body, 'ab');
    expect(utf8(body, part!.start, part!.end)).toBe('1\r\n--abc\r\n2');
  });

  test.each([
    ['', 'its boundary does not occur'],
    ['--b\r\n\r\nx\r\n--b--', 'no name'],
    ['--b\r\nContent-Disposition: form-data; name="x"\r\n\r\nx', 'ends before'],
    ['--b\r\nContent-Disposition: form-data; name="x"', 'headers'],
    [`--b\r\n${'x'.repeat(20_000)}\r\n\r\n--b--`, 'headers'],
    ['--b\r\nContent-Disposition: form-data; name="x"\r\n\r\nx\r\n'.repeat(1002), 'more than'],
  ])('is no form: %#', (text, why) => {
    const scan = () => scanParts(Buffer.from(text), 'b');
    expect(scan).toThrow(MultipartError);
    expect(scan).toThrow(why);
  });
});
