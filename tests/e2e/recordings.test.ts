/** Recorded answers, replayed behind the gateway to clients of the same dialect: not a byte is changed. */
import { afterAll, beforeAll, describe, expect } from 'bun:test';
import { clientDialectOf, rawRequest } from '../conformance/raw-requests.ts';
import { failsWithin, raiseStage, replayed, type Stage } from '../conformance/replayed.ts';
import { haveRecordings, invoked } from '../recordings.ts';
import { key, relayOnly } from './gateway.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await raiseStage(key);
});
afterAll(() => stage.stop());

const answers = replayed.flatMap((each) => {
  const { recording, streamed } = each;
  const dialect = clientDialectOf(each);
  if (dialect === undefined || recording.response.status >= 400 || failsWithin(each)) return [];
  // On that host a stream lies in frames of its own, which clients never see.
  return recording.dialect === invoked && streamed ? [] : [{ ...each, dialect }];
});

/** Recorders dropped some last words; the gateway puts them back. */
const withoutLastWord = (text: string): string => text.replace(/data: \[DONE\]\s*$/, '').trimEnd();

describe.skipIf(!haveRecordings)('recorded answers', () => {
  relayOnly.each(answers.map((each) => [each.file, each] as const))(
    'pass byte for byte: %s',
    async (_, { dialect, upstream, model, streamed: stream }) => {
      const { path, body } = rawRequest(dialect, { model: upstream, stream });
      const headers = { 'content-type': 'application/json', 'anthropic-version': '2023-06-01' };
      const sent = { method: 'POST', headers, body: JSON.stringify(body) };
      const said = await (await fetch(stage.provider.url + path, sent)).text();
      const asked = rawRequest(dialect, { model, stream });
      const heard = await (await stage.gateway.post(asked.path, asked.body)).text();
      expect(withoutLastWord(heard)).toBe(withoutLastWord(said));
    },
  );
});
