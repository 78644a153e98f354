/** How requests name files, and what documents of files and batches say. */
import { describe, expect, test } from 'bun:test';
import { collectFiles, collectionOf, mayNameFiles } from '../../src/dialects/objects/index.ts';
import type { BatchCollection } from '../../src/dialects/objects/surface.ts';

const named = (text: string): string[] => {
  const found = new Set<string>();
  if (mayNameFiles(Buffer.from(text))) collectFiles(text, found);
  return [...found];
};

describe('a request names a file', () => {
  test.each([
    ['by its id', '{"file":{"file_id":"file-1"}}', ['file-1']],
    ['by several', '{"container":{"file_ids" : [ "file-1", "file-2" ]}}', ['file-1', 'file-2']],
    ['by where it is', '{"fileData":{"fileUri":"https://host/v1beta/files/abc"}}', ['abc']],
    ['by where it is, with other words', '{"file_data":{"file_uri":"files/abc"}}', ['abc']],
    ['twice in the same place', '{"file_id":"a","file_id":"b"}', ['a', 'b']],
    ['in letters that are escaped', '{"file\\u005Fid":"\\u0066ile-1"}', ['file-1']],
    ['with slashes that are', '{"fileUri":"https:\\/\\/host\\/v1beta\\/files\\/abc"}', ['abc']],
    ['in many lines', '{"file_id"\n:\n"file-1"}', ['file-1']],
    ['of a name that is odd', '{"file_id":"a\\"b"}', ['a"b']],
  ])('%s', (_, text, ids) => {
    expect(named(text)).toEqual(ids);
  });

  test('but not by talking of it', () => {
    expect(named('{"content":"use \\"file_id\\": \\"file-1\\" there"}')).toEqual([]);
    expect(named('{"content":"file_id file-1"}')).toEqual([]);
    expect(named('{"content":"\\u00e9\\u0022file_id\\u0022:\\u0022x\\u0022"}')).toEqual([]);
  });
});

describe('a document', () => {
  const openai = collectionOf('openai', 'batch') as BatchCollection;
  const anthropic = collectionOf('anthropic', 'batch') as BatchCollection;

  test('of a batch says whether it has ended, and what it has written', () => {
    const batch = { object: 'batch', id: 'b', status: 'in_progress', output_file_id: null };
    expect(openai.describe(batch)).toEqual({ id: 'b', final: false, files: [] });
    expect(openai.describe({ ...batch, status: 'expired', output_file_id: 'o', error_file_id: 'e' })).toEqual(
      {
        id: 'b',
        final: true,
        files: ['o', 'e'],
      },
    );
    expect(
      anthropic.describe({ type: 'message_batch', id: 'm', processing_status: 'canceling' })?.final,
    ).toBeFalse();
  });

  test('of something else describes nothing', () => {
    expect(openai.describe({ object: 'list', id: 'b' })).toBeUndefined();
    expect(anthropic.describe({ type: 'message_batch' })).toBeUndefined();
    expect(collectionOf('gemini', 'file')?.describe({ name: 'files/../x' })).toBeUndefined();
    expect(collectionOf('gemini', 'batch')).toBeUndefined();
  });

  test('tells usage in either way of counting, and none where there is none', () => {
    const usage = { input_tokens: 5, output_tokens: 2, total_tokens: 7 };
    expect(openai.usedBy({ model: 'm', usage })).toMatchObject({
      model: 'm',
      usage: { input: 5, output: 2 },
    });
    expect(openai.usedBy({ model: 'm', usage: { input_tokens: 0, output_tokens: 0 } })).toBeUndefined();
    const body = { model: 'm', usage: { prompt_tokens: 3, total_tokens: 3 } };
    expect(openai.usedIn({ response: { body } })).toMatchObject({ usage: { input: 3, output: 0 } });
    expect(openai.usedIn({ response: null, error: { code: 'x' } })).toBeUndefined();
    const message = { model: 'c', usage: { input_tokens: 4, cache_read_input_tokens: 6, output_tokens: 1 } };
    expect(anthropic.usedIn({ result: { type: 'succeeded', message } })).toMatchObject({
      usage: { input: 10, cacheRead: 6, output: 1 },
    });
    expect(anthropic.usedIn({ result: { type: 'expired' } })).toBeUndefined();
  });
});
