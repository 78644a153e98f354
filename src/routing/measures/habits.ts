/** What the calls of a key are like: how much they have written, how much of them a prompt cache knows. */

/** What an application asks for changes with the application, not with the hour: only further calls make it forgotten. */
const maxSamples = 50;

export class Habits {
  private answers = 0;
  private meanTokens = 0;
  private returns = 0;
  private meanCached = 0;

  answered(tokens: number): void {
    if (this.answers < maxSamples) this.answers++;
    this.meanTokens += (tokens - this.meanTokens) / this.answers;
  }

  /** Of a conversation that came back to the target that knows it. */
  returned(cachedShare: number): void {
    if (this.returns < maxSamples) this.returns++;
    this.meanCached += (cachedShare - this.meanCached) / this.returns;
  }

  get outputTokens(): number | undefined {
    return this.answers === 0 ? undefined : this.meanTokens;
  }

  get cachedShare(): number | undefined {
    return this.returns === 0 ? undefined : this.meanCached;
  }
}
