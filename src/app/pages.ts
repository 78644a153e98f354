/** Operators' pages: alive, ready, numbers. */
import type { Upkeep } from '../ledger/upkeep.ts';
import { expositionType } from '../observe/exposition.ts';

export interface Pages {
  /** Why calls are better taken elsewhere; undefined: they need not be. */
  refusal(): string | undefined;
  /** What is wrong all the same. */
  trouble: Upkeep['trouble'];
  /** Metrics, as Prometheus reads them. */
  expose(): string;
}

/** @returns undefined where the path is none of them. */
export function operate(path: string, pages: Pages): Response | undefined {
  switch (path) {
    case '/healthz':
      return new Response('ok\n');
    case '/readyz':
      return readyPage(pages);
    case '/metrics':
      return new Response(pages.expose(), { headers: { 'content-type': expositionType } });
    default:
      return undefined;
  }
}

/** A store that is down is no reason to take calls elsewhere: they would find the same one. */
function readyPage({ refusal, trouble }: Pages): Response {
  const refused = refusal();
  if (refused !== undefined) return new Response(`not ready: ${refused}\n`, { status: 503 });
  const wrong = trouble();
  return new Response(wrong === undefined ? 'ready\n' : `ready, but ${wrong}\n`);
}
