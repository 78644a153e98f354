/** Names of which a request may hold each once: further ones of a kind get a number, in one step however many there are. */
export class UniqueNames {
  private readonly taken = new Set<string>();
  /** The last number that was given to a beginning. */
  private readonly numbers = new Map<string, number>();

  /**
   * @param stemOf what is left of a name to make room for a number. @param numbered a beginning with its number.
   * @param keyOf what tells names apart.
   */
  constructor(
    private readonly stemOf: (name: string) => string,
    private readonly numbered: (stem: string, n: number) => string,
    private readonly keyOf: (name: string) => string = (name) => name,
  ) {}

  /** The name itself, where nothing else has it; else its beginning with the next number that is free. */
  take(name: string): string {
    let unique = name;
    if (this.taken.has(this.keyOf(name))) {
      const stem = this.stemOf(name);
      let n = this.numbers.get(stem) ?? 1;
      do unique = this.numbered(stem, ++n);
      while (this.taken.has(this.keyOf(unique)));
      this.numbers.set(stem, n);
    }
    this.taken.add(this.keyOf(unique));
    return unique;
  }
}
