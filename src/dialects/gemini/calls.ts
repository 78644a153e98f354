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

/** The calls of a history, read from its beginning to its end. */
export class CallLog {
  private calls = 0;
  private open: Call[] = [];

  /** @returns the call's id; one that its place gives it, the same in every request, where it has none. */
  enter(name: string, id: string): string {
    this.calls += 1;
    const call = { name, id: id === '' ? `unnamed_call_${this.calls}` : id };
    this.open.push(call);
    return call.id;
  }

  /** @returns the call that a result answers. Of equal names the first unanswered call is meant. */
  answer(name: string, id: string): Call {
    const at = this.open.findIndex((call) => (id === '' ? call.name === name : call.id === id));
    const [call] = at < 0 ? [] : this.open.splice(at, 1);
    if (call !== undefined) return call;
    this.calls += 1;
    return { name, id: id === '' ? `unnamed_call_${this.calls}` : id };
  }
}
