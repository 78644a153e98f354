/** What the calls of a key are like: how much they have written, how much of them a prompt cache knows. */

/** What an application asks for changes with the application, not with the hour: only further calls make it forgotten. */
const maxSamples = 50;

/** Of ten answers, about nine are no longer than what is held for them. */
const highShare = 0.9;
/** Of twenty prompts, about nineteen have no more tokens than is held for them. */
const highInputShare = 0.95;
/** By how much of itself what is high moves with each call, once there are enough. */
const leastStep = 0.15;

export class Habits {
  private answers = 0;
  private meanTokens = 0;
  private readonly high = new HighMark(highShare, 2);
  private readonly input = new HighMark(highInputShare, 1.25);
  private returns = 0;
  private meanCached = 0;

  answered(tokens: number): void {
    if (this.answers < maxSamples) this.answers++;
    this.meanTokens += (tokens - this.meanTokens) / this.answers;
    this.high.add(tokens);
  }

  /** @param ratio tokens of a prompt, of those that its text was taken to have at most. */
  asked(ratio: number): void {
    this.input.add(ratio);
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
    const { value } = this.high;
    return value === undefined ? undefined : Math.ceil(value);
  }

  /** What nineteen of twenty prompts keep below, of what they were taken to have at most. */
  get inputRatio(): number | undefined {
    return this.input.value;
  }

  get cachedShare(): number | undefined {
    return this.returns === 0 ? undefined : this.meanCached;
  }
}

/** What a share of all amounts keep below, as they come. */
class HighMark {
  private samples = 0;
  private log = 0;

  /** @param first of one amount alone, another might well be so many times as much. */
  constructor(
    private readonly share: number,
    private readonly first: number,
  ) {}

  /** At nine of ten, a larger one moves it up by nine times as much as a smaller one moves it down: there it rests. */
  add(amount: number): void {
    if (this.samples < maxSamples) this.samples++;
    if (this.samples === 1) this.log = Math.log(this.first * amount);
    else {
      const step = Math.max(leastStep, 1 / this.samples);
      this.log += step * (Math.log(amount) > this.log ? this.share : this.share - 1);
    }
  }

  get value(): number | undefined {
    return this.samples === 0 ? undefined : Math.exp(this.log);
  }
}
