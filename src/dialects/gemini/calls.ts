/** Which result belongs to which call: by id where there is one, else by name, in the order of the calls. */

interface Call {
  id: string;
  name: string;
}

/** Ids of calls that came without one. They say nothing: requests are written without them. */
const unnamed = /^unnamed_call_\d+$/;

export function isUnnamed(id: string): boolean {
  return unnamed.test(id);
}

/** The calls of a history, read from its beginning to its end; each is looked at once, however many there are. */
export class CallLog {
  private calls = 0;
  private readonly byId = new Map<string, Call[]>();
  private readonly byName = new Map<string, Call[]>();
  private readonly answered = new Set<Call>();
  /** How many at the beginning of a list are answered. */
  private readonly past = new Map<Call[], number>();

  /** @returns the call's id; one that its place gives it, the same in every request, where it has none. */
  enter(name: string, id: string): string {
    this.calls += 1;
    const call = { name, id: id === '' ? `unnamed_call_${this.calls}` : id };
    add(this.byId, call.id, call);
    add(this.byName, name, call);
    return call.id;
  }

  /** @returns the call that a result answers. Of equal names the first unanswered call is meant. */
  answer(name: string, id: string): Call {
    const call = this.firstOpen(id === '' ? this.byName.get(name) : this.byId.get(id));
    if (call !== undefined) return call;
    this.calls += 1;
    return { name, id: id === '' ? `unnamed_call_${this.calls}` : id };
  }

  private firstOpen(calls: Call[] | undefined): Call | undefined {
    if (calls === undefined) return undefined;
    let at = this.past.get(calls) ?? 0;
    while (at < calls.length && this.answered.has(calls[at]!)) at++;
    this.past.set(calls, at);
    const call = calls[at];
    if (call !== undefined) this.answered.add(call);
    return call;
  }
}

function add(calls: Map<string, Call[]>, word: string, call: Call): void {
  const others = calls.get(word);
  if (others === undefined) calls.set(word, [call]);
  else others.push(call);
}
