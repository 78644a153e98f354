/** Conditions of `when`: expressions in CEL (https://cel.dev), checked when the configuration is read. */
import type { ASTNode, Environment } from '@marcbachmann/cel-js';
import type { Condition } from './route.ts';

/** What a condition can ask about health: `health.up("provider/model")`. */
export class HealthFacts {
  constructor(readonly up: (target: string) => boolean) {}
}

/** All that a condition can name. Whole numbers are bigints, as CEL's are. */
export interface Facts {
  request: {
    model: string;
    operation: string;
    stream: boolean;
    /** Estimated tokens of the request. */
    tokens: bigint;
    /** The client's own limit of the answer; 0: it sets none. */
    max_tokens: bigint;
    session: string;
    user: string;
  };
  key: { name: string; team: string; organisation: string };
  tags: Readonly<Record<string, string>>;
  /** UTC; Sunday is 0. */
  time: { hour: bigint; minute: bigint; weekday: bigint };
  health: HealthFacts;
}

let environment: Environment | undefined;

/** CEL is loaded with the first condition: most configurations have none, and nobody waits for it at the start. */
function environmentOf(): Environment {
  environment ??= makeEnvironment(require('@marcbachmann/cel-js'));
  return environment;
}

function makeEnvironment(cel: typeof import('@marcbachmann/cel-js')): Environment {
  return new cel.Environment()
    .registerType('Request', {
      fields: {
        model: 'string',
        operation: 'string',
        stream: 'bool',
        tokens: 'int',
        max_tokens: 'int',
        session: 'string',
        user: 'string',
      },
    })
    .registerType('Key', { fields: { name: 'string', team: 'string', organisation: 'string' } })
    .registerType('Time', { fields: { hour: 'int', minute: 'int', weekday: 'int' } })
    .registerType('Health', { ctor: HealthFacts, fields: {} })
    .registerFunction('Health.up(string): bool', (health: HealthFacts, target: string) => health.up(target))
    .registerVariable('request', 'Request')
    .registerVariable('key', 'Key')
    .registerVariable('tags', 'map<string, string>')
    .registerVariable('time', 'Time')
    .registerVariable('health', 'Health');
}

/** @throws Error whose message says in one line what is wrong with the text. */
export function parseCondition(source: string): Condition {
  let parsed: ReturnType<Environment['parse']>;
  try {
    parsed = environmentOf().parse(source);
  } catch (error) {
    throw new Error(firstLine(error));
  }
  const { valid, type, error } = parsed.check();
  if (!valid) throw new Error(firstLine(error));
  if (type !== 'bool') throw new Error(`it is ${type}, not true or false`);
  return (facts) => {
    try {
      return parsed(facts as unknown as Record<string, unknown>) === true;
    } catch {
      // A tag that is not there, a division by zero.
      return false;
    }
  };
}

/** The text of a condition that was parsed before, as a tree. */
export function conditionTree(source: string): ASTNode {
  return environmentOf().parse(source).ast;
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0]!.trim();
}
