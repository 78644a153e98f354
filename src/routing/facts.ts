/** What conditions of `when` are told. */
import { type Facts, HealthFacts } from '../config/condition.ts';
import type { Target } from '../config/snapshot.ts';
import type { Moment } from './moment.ts';

/** @param targets those below the route, by id: only their health can be asked for. */
export function factsOf(moment: Moment, targets: ReadonlyMap<string, Target>): Facts {
  const { ask, nowMs, sight } = moment;
  const now = new Date(nowMs);
  return {
    request: {
      model: ask.model,
      operation: ask.operation,
      stream: ask.stream,
      tokens: BigInt(Math.round(ask.inputTokens)),
      max_tokens: BigInt(ask.maxTokens ?? 0),
      session: ask.session,
      user: ask.endUser,
    },
    key: { name: ask.key.name, team: ask.key.team, organisation: ask.key.organisation },
    tags: ask.tags,
    time: {
      hour: BigInt(now.getUTCHours()),
      minute: BigInt(now.getUTCMinutes()),
      weekday: BigInt(now.getUTCDay()),
    },
    health: new HealthFacts((id) => {
      const target = targets.get(id);
      return target !== undefined && sight.isHealthy(target, nowMs);
    }),
  };
}
