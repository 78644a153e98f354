/** The very first start, while the database is not there yet: as when both are started together. */
import { afterAll, expect, test } from 'bun:test';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { postgres } from '../servers.ts';
import { ask, killRunning, makePlace, start, waitFor } from './program.ts';

const place = makePlace();
afterAll(() => {
  killRunning();
  place.remove();
});

test('says its secrets when the database is there, and serves by them', async () => {
  const server = await postgres();
  const store = await server.createDatabase();
  writeFileSync(join(place.dir, 'sluice.yaml'), `store: ${store}\nproviders: { mock: {} }\n`);
  await server.stop();
  const program = start(['serve', '--port', '0'], { cwd: place.dir });
  let url: string;
  try {
    url = await program.listening();
    expect(program.stderr()).toContain('alarm: the store cannot be reached');
    expect(program.stdout()).not.toContain('admin token');
    expect((await ask(url, 'sk-any', 'mock/echo')).status).toBe(503);
    expect((await fetch(`${url}/readyz`)).status).toBe(503);
  } finally {
    await server.start();
  }
  const key = await waitFor(() => /API key +(\S+)/.exec(program.stdout())?.[1]);
  expect(await waitFor(() => /admin token +(\S+)/.exec(program.stdout())?.[1])).toStartWith('sluice-admin-');
  await waitFor(async () => ((await ask(url, key, 'mock/echo')).status === 200 ? true : undefined));
  expect((await fetch(`${url}/readyz`)).status).toBe(200);
  expect(await program.stop()).toBe(0);
}, 60_000);
