/** A conversation of any dialect as turns that strict APIs accept: alternating, and every tool call answered at once. */
import type { Block, Message, ToolCallBlock, ToolResultBlock } from '../core/chat.ts';
import { UniqueNames } from './unique-names.ts';

/** A block and where it stands in the request: `messages[2].content[0]`. */
export interface Placed<B extends Block = Block> {
  block: B;
  path: string;
}

/** Consecutive messages of one role. */
export interface Turn {
  role: Message['role'];
  content: Placed[];
}

/** What the user says where a conversation has no user turn to begin with: such APIs want one. */
const opening = 'Begin.';

export interface Arrangement {
  /** How many messages at the beginning stand elsewhere: the instructions. */
  first: number;
  /** Later instructions become words of the user. */
  foldsSystem: boolean;
  /** False for what cannot be sent (blank text, foreign reasoning): a turn that is empty without it goes, too. */
  keeps(placed: Placed): boolean;
}

/**
 * Turns of one role are joined; tool calls stand last in their turn and their results first in the next. A call
 * without a result gets one that says so; a result without a call becomes text; ids used twice are told apart.
 */
export function arrangeTurns(messages: readonly Message[], how: Arrangement): Turn[] {
  const joined: Turn[] = [];
  for (let i = how.first; i < messages.length; i++) append(joined, turnOf(messages[i]!, i, how));
  // Most conversations have no calls to answer.
  let turns = joined;
  if (joined.some(hasCalls)) {
    turns = [];
    for (const turn of answerCalls(joined, how)) append(turns, turn);
  }
  if (turns[0]?.role !== 'user') {
    turns.unshift({ role: 'user', content: [{ block: { type: 'text', text: opening }, path: 'messages' }] });
  }
  trimPrefill(turns);
  return turns;
}

function turnOf({ role, blocks }: Message, i: number, how: Arrangement): Turn {
  const content = placeBlocks(blocks, `messages[${i}].content`).filter((placed) => how.keeps(placed));
  if (role !== 'system' || !how.foldsSystem) return { role, content };
  // An instruction in the middle keeps its place; hoisted to the top it would speak of what has not happened yet.
  return { role: 'user', content: content.map(fold) };
}

export function placeBlocks(blocks: readonly Block[], path: string): Placed[] {
  return blocks.map((block, i) => ({ block, path: `${path}[${i}]` }));
}

function fold({ block, path }: Placed): Placed {
  if (block.type !== 'text') return { block, path };
  return { block: { ...block, text: `<system>\n${block.text}\n</system>` }, path };
}

/** Adds a turn, joined with the one before when that has the same role; nothing when it is empty. */
function append(turns: Turn[], turn: Turn): void {
  if (turn.content.length === 0) return;
  const last = turns.at(-1);
  if (last?.role === turn.role) last.content.push(...turn.content);
  else turns.push({ role: turn.role, content: [...turn.content] });
}

/** An answer that the model shall continue must not end in white space. */
function trimPrefill(turns: Turn[]): void {
  const last = turns.at(-1);
  const placed = last?.role === 'assistant' ? last.content.at(-1) : undefined;
  if (placed?.block.type === 'text') placed.block = { ...placed.block, text: placed.block.text.trimEnd() };
}

// Calls and their results

/**
 * The APIs want every call answered at the start of the next turn.
 * https://platform.claude.com/docs/en/agents-and-tools/tool-use/handle-tool-calls#tool-result-formatting
 * @param turns no two of one role in a row; their content is taken apart.
 */
function answerCalls(turns: Turn[], how: Arrangement): Turn[] {
  const answered: Turn[] = [];
  const ids = uniqueIds();
  for (let i = 0; i < turns.length; ) {
    const turn = turns[i++]!;
    const following: Turn[] = [];
    while (i < turns.length && turns[i]!.role !== 'assistant') following.push(turns[i++]!);
    const calls: Placed[] = [];
    const results: Placed[] = [];
    const given = new Results(following);
    for (const placed of turn.content.filter(isCall)) {
      const id = ids.take(placed.block.id);
      const result = given.take(placed.block.id) ?? noResult(placed);
      calls.push({ ...placed, block: { ...placed.block, id } });
      results.push({ ...result, block: { ...result.block, callId: id } });
    }
    const others = turn.content.filter((placed) => !isCall(placed));
    answered.push({ role: turn.role, content: [...unwrapOrphans(others, how), ...calls] });
    answered.push({ role: 'user', content: results });
    for (const { role, content } of following)
      answered.push({ role, content: unwrapOrphans(content.filter(given.isLeft, given), how) });
  }
  return answered;
}

function hasCalls({ content }: Turn): boolean {
  return content.some((placed) => isCall(placed) || isResult(placed));
}

function isCall(placed: Placed): placed is Placed<ToolCallBlock> {
  return placed.block.type === 'tool-call';
}

function isResult(placed: Placed): placed is Placed<ToolResultBlock> {
  return placed.block.type === 'tool-result';
}

/** The results that follow a turn. Clients may send thousands: each is looked at once. */
class Results {
  /** By the id of their call, the first one last. */
  private readonly byCall = new Map<string, Placed<ToolResultBlock>[]>();
  private readonly taken = new Set<Placed>();

  constructor(following: readonly Turn[]) {
    for (const placed of following.flatMap(({ content }) => content).reverse()) {
      if (!isResult(placed)) continue;
      const { callId } = placed.block;
      const others = this.byCall.get(callId);
      if (others === undefined) this.byCall.set(callId, [placed]);
      else others.push(placed);
    }
  }

  /** The first result of a call that no other call has taken. */
  take(callId: string): Placed<ToolResultBlock> | undefined {
    const result = this.byCall.get(callId)?.pop();
    if (result !== undefined) this.taken.add(result);
    return result;
  }

  isLeft(placed: Placed): boolean {
    return !this.taken.has(placed);
  }
}

function noResult({ block: { id }, path }: Placed<ToolCallBlock>): Placed<ToolResultBlock> {
  const text = 'There is no result: the tool call was not carried out.';
  return {
    block: { type: 'tool-result', callId: id, blocks: [{ type: 'text', text }], isError: true },
    path,
  };
}

/** Ids that no other call of the request has; no longer than 64 characters, unless they were. */
function uniqueIds(): UniqueNames {
  return new UniqueNames(
    (id) => id.slice(0, 58),
    (stem, n) => `${stem}_${n}`,
  );
}

function unwrapOrphans(content: Placed[], how: Arrangement): Placed[] {
  return content.flatMap((placed) => {
    if (!isResult(placed)) return [placed];
    const told: Block = { type: 'text', text: 'The result of an earlier tool call:' };
    const parts = placeBlocks(placed.block.blocks, `${placed.path}.content`).filter((part) =>
      how.keeps(part),
    );
    return [{ block: told, path: placed.path }, ...parts];
  });
}
