/** A map of bounded size: what was not used for long makes room. */

/**
 * Two maps: when the younger is full it becomes the older, and what was in that one is gone. Nothing is ever deleted one
 * by one: a map whose first entries are deleted has to step over their places each time the next oldest is looked for.
 */
export class Generations<Value> {
  private young = new Map<string, Value>();
  private old = new Map<string, Value>();
  private readonly half: number;

  /** @param needed values that stay, used or not; there must be few of them. */
  constructor(
    max: number,
    private readonly needed: (value: Value) => boolean = () => false,
  ) {
    this.half = Math.ceil(max / 2);
  }

  /** Looks without using. */
  peek(name: string): Value | undefined {
    return this.young.get(name) ?? this.old.get(name);
  }

  use(name: string): Value | undefined {
    const young = this.young.get(name);
    if (young !== undefined) return young;
    const old = this.old.get(name);
    if (old !== undefined) this.set(name, old);
    return old;
  }

  set(name: string, value: Value): void {
    if (this.young.size >= this.half) this.turn();
    this.young.set(name, value);
  }

  private turn(): void {
    const gone = this.old;
    this.old = this.young;
    this.young = new Map();
    for (const [name, value] of gone)
      if (!this.old.has(name) && this.needed(value)) this.young.set(name, value);
  }
}
