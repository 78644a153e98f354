/** Killed at any moment: nothing that left for a provider is forgotten, nothing is counted twice. */
import { afterAll, expect, test } from 'bun:test';
import { postgres } from '../servers.ts';
import { crash } from './crash.ts';
import { killRunning } from './program.ts';

afterAll(killRunning);

test.each(['sqlite', 'postgres'])(
  'after kill -9 under load, five times, every attempt is in the store exactly once: %s',
  async (kind) => {
    const store = kind === 'sqlite' ? 'sqlite' : await (await postgres()).createDatabase();
    const figures = await crash({ kills: 5, store, random: Math.random });
    expect(figures.mistakes).toEqual([]);
    expect(figures.rowsNano).toBe(figures.expectedNano);
    expect(figures.usageNano).toEqual([figures.rowsNano, figures.rowsNano, figures.rowsNano]);
    // It was no quiet time.
    expect(figures.reached).toBeGreaterThan(100);
    expect(figures.heard).toBeGreaterThan(20);
    expect(figures.interrupted).toBeGreaterThan(0);
  },
  120_000,
);
