/** Why a request goes where it goes: what is asked, and what is answered. Field names are those of the admin API. */
import type { ClientDialectName } from './chat.ts';
import type { JsonObject } from './json.ts';
import { formatUsd } from './money.ts';

/** A request to explain; all that is not given is as plain as can be. */
export interface ExplainQuery {
  /** Public model name, or provider/model. Default: the one in `body`. */
  model?: string | undefined;
  /** A client's request, as it would be sent. */
  body?: JsonObject | undefined;
  /** The client's language, of `body`. */
  dialect: ClientDialectName;
  /** Name of the key that asks; absent: one without any restriction. */
  key?: string | undefined;
  tags: Readonly<Record<string, string>>;
  session: string;
  end_user: string;
  /** Where no body tells. */
  tokens: number;
  max_tokens?: number | undefined;
  stream: boolean;
  /** The moment, in milliseconds since 1970. */
  at: number;
  /** Targets that are taken not to be well; `provider/*`: all of a provider. */
  down: readonly string[];
  /** Of the random numbers. */
  seed: number;
}

/** A route, or a target at its leaves: children in the order in which the strategy wants them. */
export interface ExplainedRoute {
  /** A strategy, or `target`. */
  type: string;
  /** provider/model. */
  target?: string;
  /** What the parent strategy thought of it. */
  score?: number;
  unit?: string;
  /** Of a child of `when`: its condition. */
  if?: string;
  /** Left out by the strategy above. */
  unused?: boolean;
  /** Asked beside the others, its answer thrown away. */
  unseen?: boolean;
  children?: ExplainedRoute[];
}

export interface ExplainedTarget {
  target: string;
  /** The way through the route: `fallback 2 > cheapest 1`. */
  way: string;
  healthy: boolean;
  /** Its context is not known to be too small. */
  fits: boolean;
  /** Of an answer of usual length; null: no price is known. */
  expected_cost_usd: string | null;
  /** What goes unsaid there, without changing the meaning. */
  lost: string[];
  /** Why it cannot be asked at all: it is passed over. */
  passed_over?: string;
}

export interface ExplainedLimit {
  owner: string;
  name: string;
  unit: string;
  /** `day`, `sliding hour`, `month (Europe/Berlin)`; null: calls at once. */
  per: string | null;
  max: string;
  used: string;
  reserved: string;
  /** What the call would hold. */
  needed: string;
  refuses: boolean;
}

export interface Explanation {
  model: string;
  key: string | null;
  tokens: number;
  max_tokens: number | null;
  /** Why nothing would be sent; absent: something would. */
  refused?: { kind: string; message: string };
  route?: ExplainedRoute;
  /** In the order in which they would be tried, each after the failure of those before it. */
  targets: ExplainedTarget[];
  limits: ExplainedLimit[];
}

/** What the scores of a strategy are counted in; those of others say nothing to people. */
export const scoreUnits: Readonly<Record<string, string | undefined>> = {
  split: 'weight',
  cheapest: 'nano-dollars',
  fastest: 'ms',
  least_busy: 'calls',
};

/** For people: money in dollars, whatever it is counted in. */
export function sayScore(score: number, unit = ''): string {
  if (unit === scoreUnits.cheapest) return `${formatUsd(Math.round(score))} USD`;
  return `${Number(score.toPrecision(4))} ${unit}`.trimEnd();
}

/** A call's plan as it was when it was made, kept with the call. Names are short: it is written with every such call. */
export interface RecordedPlan {
  route: PlannedStrategy;
  /** Of an answer of usual length from the first target; null: no price is known. */
  expected_nano_usd: number | null;
  /** What every limit held for the call. */
  reserved_nano_usd: number;
  /** The fullest, with what the call holds; absent: there is none. */
  limit?: { owner: string; name: string; unit: string; per: string | null; percent: number };
}

/** A string: a target, provider/model, of which there is nothing else to say. */
export type PlannedRoute = string | PlannedTarget | PlannedStrategy;

export interface PlannedTarget extends Judged {
  /** provider/model. */
  to: string;
  /** It was not well. */
  unwell?: 1;
  /** It had answered the conversation before. */
  kept?: 1;
}

export interface PlannedStrategy extends Judged {
  /** Its name. */
  by: string;
  /** Its children in the order in which it wanted them. */
  of: PlannedRoute[];
  /** How many of them are left out here. */
  more?: number;
}

interface Judged {
  /** What the strategy above thought of it, in its own unit: see scoreUnits. */
  score?: number;
  /** Below a `when`: which of its conditions held, from 1; absent: none did. */
  case?: number;
}
