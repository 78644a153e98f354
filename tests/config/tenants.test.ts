/** Organisations, teams and keys as they are written: what is taken, and what is said to what is not. */
import { describe, expect, test } from 'bun:test';
import { compileAddresses, isAddressRange } from '../../src/config/addresses.ts';
import { readConfig } from '../../src/config/load.ts';
import { keySchema, organisationSchema, teamSchema, tenantName } from '../../src/config/tenant-schema.ts';

describe('ranges of addresses', () => {
  test.each([
    ['10.0.0.0/8', ['10.255.0.1', '::ffff:10.0.0.1'], ['11.0.0.1', '::1', '', 'x', '10.0.0']],
    ['192.0.2.7', ['192.0.2.7'], ['192.0.2.8']],
    ['0.0.0.0/0', ['1.2.3.4'], ['::1']],
    ['::/0', ['::1', '2001:db8::1'], ['1.2.3.4', '::ffff:1.2.3.4']],
    ['2001:db8::/32', ['2001:db8:ffff::1'], ['2001:db9::1', '32.1.13.184']],
    ['::ffff:10.0.0.0/104', ['10.1.2.3'], ['11.1.2.3']],
    ['fe80::/10', ['fe80::1%eth0'], ['fec0::1']],
  ])('%s', (range, inside, outside) => {
    expect(isAddressRange(range)).toBe(true);
    const addresses = compileAddresses([range]);
    for (const address of inside) expect([address, addresses.has(address)]).toEqual([address, true]);
    for (const address of outside) expect([address, addresses.has(address)]).toEqual([address, false]);
  });

  test.each([
    '',
    '10',
    '10.0',
    '10.0.0.0/33',
    '::/129',
    '10.0.0.0/-1',
    '10.0.0.0/8/8',
    '010.0.0.1',
    '0x7f.0.0.1',
  ])('%j is none', (text) => expect(isAddressRange(text)).toBe(false));
});

describe('bad input', () => {
  test.each([
    [keySchema, { limits: [{ usd: -5, per: 'day' }] }],
    [keySchema, { limits: [{ usd: 1e300, per: 'day' }] }],
    [keySchema, { limits: [{ requests: 0, per: 'day' }] }],
    [keySchema, { limits: [{ tokens: 1.5, per: 'day' }] }],
    [keySchema, { limits: [{ tokens: Number.NaN, per: 'day' }] }],
    [keySchema, { limits: [{ usd: 5, per: 'eon' }] }],
    [keySchema, { limits: Array.from({ length: 101 }, () => ({ concurrency: 1 })) }],
    [keySchema, { end_users: { limits: [{ usd: 0, per: 'day' }] } }],
    [keySchema, { end_users: { limit: [] } }],
    [keySchema, { models: ['a*b'] }],
    [keySchema, { models: 'fast' }],
    [keySchema, { models: [''] }],
    [keySchema, { models: ['x'.repeat(10_000)] }],
    [keySchema, { operations: ['everything'] }],
    [keySchema, { operations: ['constructor'] }],
    [keySchema, { addresses: ['localhost'] }],
    [keySchema, { addresses: ['10.0.0.0/64'] }],
    [keySchema, { expires: 'soon' }],
    [keySchema, { key: 'sk-mine' }],
    [keySchema, { organisation: 'shop' }],
    [keySchema, { disabled: 'yes' }],
    [keySchema, { team: 'x'.repeat(10_000) }],
    [teamSchema, { organisation: '' }],
    [teamSchema, { team: 'web' }],
    [organisationSchema, { organisation: 'shop' }],
  ])('%#: %2$j is refused', (schema, document) => {
    expect(schema.safeParse(document).success).toBe(false);
  });

  test('names', () => {
    const fine = [
      'web',
      "Robert'); drop table keys;--",
      '%',
      '_',
      'a/b',
      'Müller & Söhne',
      '日本',
      'x'.repeat(128),
    ];
    for (const name of fine) expect([name, tenantName.safeParse(name).success]).toEqual([name, true]);
    const wrong = [
      '',
      ' ',
      ' web',
      'web\n',
      'a\0b',
      '\u202eweb',
      '__proto__',
      'x'.repeat(129),
      'x'.repeat(10_000),
    ];
    for (const name of wrong) expect([name, tenantName.safeParse(name).success]).toEqual([name, false]);
  });
});

describe('in the configuration file', () => {
  const mistakesOf = (yaml: string) =>
    readConfig(`providers: { mock: }\n${yaml}`, {}).mistakes.map(({ path, message }) => `${path} ${message}`);

  test.each([
    ['keys: [{ name: a, key: b, team: nope }]', /^keys\[0\]\.team no team "nope"/],
    ['keys: [{ name: a, key: b }, { name: a, key: c }]', /^keys\[1\]\.name .*has the name "a" already/],
    ['keys: [{ name: a, key: b }, { name: c, key: b }]', /^keys\[1\]\.key .*has the same secret already/],
    ['keys: [{ name: a, key: b, previous: { key: b, until: 2030-01-01 } }]', /has the same secret already/],
    ['keys: [{ name: a, key: b, previous: { key: c } }]', /^keys\[0\]\.previous\.until is missing/],
    ['keys: [{ name: a, key: b, operations: [sing] }]', /must be one of chat, embeddings/],
    [
      'keys: [{ name: a, key: b, addresses: [10.0.0.0/99] }]',
      /^keys\[0\]\.addresses\[0\] must be an IP address/,
    ],
    ['teams: { web: { models: [nope] } }', /^teams\.web\.models\[0\] no model "nope"/],
    [`teams: { "${'x'.repeat(200)}": {} }`, /a name has up to 128 characters/],
    ['organisations: { default: { limits: [{ usd: -1, per: day }] } }', /must be an amount above 0/],
    ['trusted_proxies: [proxy.local]', /^trusted_proxies\[0\] must be an IP address/],
  ])('%s', (yaml, says) => {
    const mistakes = mistakesOf(yaml);
    expect(mistakes).toHaveLength(1);
    expect(mistakes[0]).toMatch(says);
  });
});
