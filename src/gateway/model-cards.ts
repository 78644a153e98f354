/** Describes every listed model of a snapshot once, from what is known of the targets behind it. */
import type { Route } from '../config/route.ts';
import type { Snapshot, Target } from '../config/snapshot.ts';
import { targetsOf } from '../config/targets.ts';
import type { ChatRequest } from '../core/chat.ts';
import type { JsonObject } from '../core/json.ts';
import type { ModelCard } from '../core/model-card.ts';
import type { Price, Rates } from '../core/money.ts';
import type { ClientDialect } from '../dialects/dialect.ts';

export interface ListedModel {
  id: string;
  /** As the dialect writes it. */
  entry: JsonObject;
}

const lists = new WeakMap<Snapshot, Map<ClientDialect, readonly ListedModel[]>>();

/** All listed models of a snapshot; written when they are first asked for. */
export function listedModels(snapshot: Snapshot, dialect: ClientDialect): readonly ListedModel[] {
  let byDialect = lists.get(snapshot);
  if (byDialect === undefined) {
    byDialect = new Map();
    lists.set(snapshot, byDialect);
  }
  let list = byDialect.get(dialect);
  if (list === undefined) {
    list = snapshot.listed.flatMap((id) => {
      const route = snapshot.resolve(id);
      return route === undefined
        ? []
        : [{ id, entry: dialect.writeModel(describeModel(id, route, dialect)) }];
    });
    byDialect.set(dialect, list);
  }
  return list;
}

/**
 * What holds whichever target answers: the smallest of their bounds, the highest of their prices, what all of them
 * understand. What is not known of one of them is not known.
 */
export function describeModel(id: string, route: Route, dialect: ClientDialect): ModelCard {
  const targets = targetsOf(route);
  const owners = new Set(targets.map(({ provider }) => provider.name));
  return {
    id,
    owner: owners.size === 1 ? targets[0]!.provider.name : undefined,
    targets: targets.map((target) => target.id),
    contextLength: least(targets.map(({ contextLength }) => contextLength)),
    maxOutput: least(targets.map(({ maxOutput }) => maxOutput)),
    price: dearest(targets.map(({ price }) => price)),
    says: common(targets.map((target) => sayable(target, dialect))),
    reads: [...common(targets.map((target) => readable(target, dialect)))],
  };
}

function least(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined);
  return known.length < values.length || known.length === 0 ? undefined : Math.min(...known);
}

function dearest(prices: readonly (Price | undefined)[]): Price | undefined {
  const [first, ...others] = prices;
  if (others.length === 0) return first;
  let price = first;
  for (const other of others) {
    if (price === undefined || other === undefined) return undefined;
    price = {
      rates: higher(price.rates, other.rates),
      tiers: [],
      perCall: Math.max(price.perCall, other.perCall),
      source: price.source,
      version: price.version,
    };
  }
  return price;
}

function higher(one: Rates, other: Rates): Rates {
  return Object.fromEntries(
    Object.entries(one).map(([name, rate]) => [name, Math.max(rate, other[name as keyof Rates] ?? 0)]),
  ) as unknown as Rates;
}

function common<T>(sets: readonly ReadonlySet<T>[]): ReadonlySet<T> {
  const [first = new Set<T>(), ...others] = sets;
  return new Set([...first].filter((each) => others.every((other) => other.has(each))));
}

/** As requests of the dialect are sent to it: in the same one where it is spoken, else in the preferred one. */
function meansOf({ endpoints }: Target, dialect: ClientDialect) {
  return (endpoints.find((endpoint) => endpoint.dialect === dialect) ?? endpoints[0])?.dialect.can;
}

const sampling: readonly (keyof ChatRequest)[] = ['temperature', 'topP', 'topK'];
const penalties: readonly (keyof ChatRequest)[] = ['presencePenalty', 'frequencyPenalty'];

function sayable(target: Target, dialect: ClientDialect): ReadonlySet<keyof ChatRequest> {
  const { noSampling, noPenalties, thinking } = target.quirks;
  const says = new Set(meansOf(target, dialect)?.params);
  if (noSampling) for (const name of sampling) says.delete(name);
  if (noPenalties) for (const name of penalties) says.delete(name);
  if (thinking === 'none') says.delete('reasoning');
  return says;
}

function readable(target: Target, dialect: ClientDialect): ReadonlySet<string> {
  const reads = new Set(['text']);
  if (target.quirks.textOnly) return reads;
  for (const kind of meansOf(target, dialect)?.media ?? []) reads.add(kind.split(':')[0]!);
  return reads;
}
