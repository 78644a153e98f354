import { expect, test } from 'bun:test';
import type { Alert } from '../../src/core/alert.ts';
import { createAlerts } from '../../src/observe/alerts.ts';
import type { Logger } from '../../src/observe/log.ts';

const spent: Alert = {
  kind: 'limit',
  owner: 'team',
  name: 'web',
  organisation: 'shop',
  limit: '0.003 USD per month',
  unit: 'usd',
  window: '2030-01-01T00:00:00.000Z',
  threshold: 50,
  used: 1_602_000,
  max: 3_000_000,
  at: 0,
};

test('money is logged in dollars, other units as they are; what is passed on stays in nano-dollars, once', () => {
  const logged: object[] = [];
  const passed: Alert[] = [];
  const log = { warn: (fields: object) => logged.push(fields) } as unknown as Logger;
  const alerts = createAlerts(log, (alert) => passed.push(alert));
  alerts.raise(spent);
  alerts.raise(spent);
  alerts.raise({ ...spent, limit: '10 tokens per month', unit: 'tokens', used: 5, max: 10 });
  expect(logged).toMatchObject([
    { unit: 'usd', used: '0.001602', max: '0.003', name: 'web' },
    { unit: 'tokens', used: 5, max: 10 },
  ]);
  expect(passed.map(({ kind }) => kind)).toEqual(['limit', 'limit']);
  expect(passed[0]).toEqual(spent);
});
