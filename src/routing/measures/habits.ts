/** What the calls of a key are like: how much they have written, how much of them a prompt cache knows. */

/** What an application asks for changes with the application, not with the hour: only further calls make it forgotten. */
const maxSamples = 50;

/** Of ten answers, about nine are no longer than what is held for them. */
const highShare = 0.9;
/** By how much of itself the high length moves with an answer, once there are enough. */
const leastStep = 0.15;

export class Habits {
  private answers = 0;
  private meanTokens = 0;
  /** Logarithm of the length that nine of ten answers keep below. */
  private logHigh = 0;
  private returns = 0;
  private meanCached = 0;

  answered(tokens: number): void {
    if (this.answers < maxSamples) this.answers++;
    this.meanTokens += (tokens - this.meanTokens) / this.answers;
    // Of one answer alone, another might well be twice as long. Then one that is longer moves it up by nine times as
    // much as one that is shorter moves it down: it rests where one of ten is longer.
    if (this.answers === 1) this.logHigh = Math.log(2 * tokens);
    else {
      const step = Math.max(leastStep, 1 / this.answers);
      this.logHigh += step * (Math.log(tokens) > this.logHigh ? highShare : highShare - 1);
    }
  }

  /** Of a conversation that came back to the target that knows it. */
  returned(cachedShare: number): void {
    if (this.returns < maxSamples) this.returns++;
    this.meanCached += (cachedShare - this.meanCached) / this.returns;
  }

  get outputTokens(): number | undefined {
    return this.answers === 0 ? undefined : this.meanTokens;
  }

  /** What nine of ten answers are no longer than. */
  get highOutputTokens(): number | undefined {
    return this.answers === 0 ? undefined : Math.ceil(Math.exp(this.logHigh));
  }

  get cachedShare(): number | undefined {
    return this.returns === 0 ? undefined : this.meanCached;
  }
}
