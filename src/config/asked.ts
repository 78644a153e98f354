/** What simple conditions ask of each member they name: comparisons of one member with constants, and nothing else. */
import type { ASTNode } from '@marcbachmann/cel-js';
import { conditionTree } from './condition.ts';

/** Constants that one member is compared with. */
export interface Asked {
  readonly numbers: Set<bigint>;
  /** Is it this one? */
  readonly texts: Set<string>;
  readonly starts: Set<string>;
  readonly ends: Set<string>;
  /** Is this somewhere in it? */
  readonly parts: Set<string>;
}

type AskedByPath = Map<string, Asked>;

/** By path: `request.tokens`, `tags.plan`, `health.provider/model`. Undefined: some condition is not that simple. */
export function askedBy(sources: readonly string[]): ReadonlyMap<string, Asked> | undefined {
  const asked: AskedByPath = new Map();
  return sources.every((source) => isSimple(conditionTree(source), asked)) ? asked : undefined;
}

function isSimple(node: ASTNode, asked: AskedByPath): boolean {
  switch (node.op) {
    case '&&':
    case '||':
    case '?:':
      return node.args.every((each) => isSimple(each, asked));
    case '!_':
      return isSimple(node.args, asked);
    case 'value':
      return typeof node.args === 'boolean';
    case '.':
    case '[]':
      return memberOf(node, asked) !== undefined;
    case '==':
    case '!=':
      return compares(node.args, asked, ['bigint', 'string', 'boolean']);
    case '<':
    case '<=':
    case '>':
    case '>=':
      return compares(node.args, asked, ['bigint']);
    case 'in':
      return looksUp(node.args, asked);
    case 'call': {
      const [name, [of]] = node.args;
      return name === 'has' && of !== undefined && memberOf(of, asked) !== undefined;
    }
    case 'rcall':
      return callsMember(node.args, asked);
    default:
      return false;
  }
}

/** A member on one side, a constant on the other. */
function compares(sides: readonly ASTNode[], asked: AskedByPath, types: readonly string[]): boolean {
  const constant = sides.find(({ op }) => op === 'value');
  const other = sides.find(({ op }) => op !== 'value');
  const member = other && memberOf(other, asked);
  if (constant === undefined || member === undefined) return false;
  return types.includes(typeof constant.args) && note(constant, member);
}

/** A member in a list of constants, or a tag's name in all tags. */
function looksUp([what, where]: readonly ASTNode[], asked: AskedByPath): boolean {
  if (where?.op === 'id' && where.args === 'tags' && what?.op === 'value') {
    return typeof what.args === 'string' && askedOf(`tags.${what.args}`, asked) !== undefined;
  }
  if (where?.op !== 'list') return false;
  const member = what && memberOf(what, asked);
  return member !== undefined && where.args.every((each) => note(each, member));
}

const textFunctions: Readonly<Record<string, 'starts' | 'ends' | 'parts' | undefined>> = {
  startsWith: 'starts',
  endsWith: 'ends',
  contains: 'parts',
};

function callsMember(
  [name, of, [constant, ...more]]: readonly [string, ASTNode, readonly ASTNode[]],
  asked: AskedByPath,
): boolean {
  if (constant?.op !== 'value' || typeof constant.args !== 'string' || more.length > 0) return false;
  if (of.op === 'id' && of.args === 'health' && name === 'up') {
    askedOf(`health.${constant.args}`, asked);
    return true;
  }
  const kind = textFunctions[name];
  const member = memberOf(of, asked);
  if (kind === undefined || member === undefined) return false;
  member[kind].add(constant.args);
  return true;
}

/** `request.model`, `tags.plan`, `tags["plan"]`. */
function memberOf(node: ASTNode, asked: AskedByPath): Asked | undefined {
  if (node.op !== '.' && node.op !== '[]') return undefined;
  const [of, name] = node.args;
  if (of.op !== 'id') return undefined;
  if (typeof name === 'string') return askedOf(`${of.args}.${name}`, asked);
  return name.op === 'value' && typeof name.args === 'string'
    ? askedOf(`${of.args}.${name.args}`, asked)
    : undefined;
}

/** False for what is no constant that can be tried. */
function note(constant: ASTNode, { numbers, texts }: Asked): boolean {
  if (constant.op !== 'value') return false;
  const value: unknown = constant.args;
  if (typeof value === 'bigint') numbers.add(value);
  else if (typeof value === 'string') texts.add(value);
  else return typeof value === 'boolean';
  return true;
}

function askedOf(path: string, asked: AskedByPath): Asked {
  let of = asked.get(path);
  if (of === undefined) {
    of = { numbers: new Set(), texts: new Set(), starts: new Set(), ends: new Set(), parts: new Set() };
    asked.set(path, of);
  }
  return of;
}
