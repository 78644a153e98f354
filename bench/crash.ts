/** `kill -9` of the gateway under load, many times, on SQLite and on PostgreSQL: what is in the store beside what the provider has counted. */
import { formatUsd } from '../src/core/money.ts';
import { type CrashFigures, crash } from '../tests/process/crash.ts';
import { postgres } from '../tests/servers.ts';

/** @throws when anything is not as it must be. */
export async function measureCrashes(kills: number, progress: (line: string) => void): Promise<string> {
  const lines: string[] = [];
  for (const kind of ['sqlite', 'postgres']) {
    const store = kind === 'sqlite' ? 'sqlite' : await (await postgres()).createDatabase();
    const said = (line: string) => progress(`${kind}: ${line}`);
    const figures = await crash({ kills, store, random: Math.random, progress: said });
    lines.push(...formatCrashes(kind, figures));
    if (figures.mistakes.length > 0) throw new Error(figures.mistakes.join('\n'));
  }
  return lines.join('\n');
}

function formatCrashes(kind: string, figures: CrashFigures): string[] {
  const { kills, reached, rows, interrupted, unsent, heard, expectedNano, rowsNano, usageNano } = figures;
  return [
    `${kind}: killed ${kills} times`,
    `  upstream requests the provider counted  ${reached}`,
    `  rows in the store                       ${rows} (the call after the last kill, and ${unsent} killed before they were sent, among them)`,
    `  interrupted, charged what was reserved  ${interrupted}`,
    `  calls whose client heard the whole      ${heard}`,
    `  provider's count at its price           ${formatUsd(expectedNano)} USD`,
    `  rows                                    ${formatUsd(rowsNano)} USD`,
    `  roll-ups, by model, key, provider       ${usageNano.map(formatUsd).join(', ')} USD`,
  ];
}
