/** Going through the targets of a route once more, when all of them have failed and it may have been for the moment. */
import type { GatewayError } from '../core/error.ts';
import { mayPass, pauseMs } from './backoff.ts';
import type { Step } from './plan.ts';

export class Rounds {
  private done = 0;
  /** Of those that failed in this round, and may do better in the next. */
  private errors: GatewayError[] = [];

  /** @param steps all of them, in their order. */
  constructor(private steps: readonly Step[]) {}

  failed(step: Step | undefined, error: GatewayError): void {
    if (mayPass(error)) this.errors.push(error);
    // What no other target mends, no other time does.
    else this.steps = error.retry ? this.steps.filter((each) => each !== step) : [];
  }

  /** Who is to be asked in the next round, and when; undefined: there is none. */
  next(random: () => number): { steps: Step[]; pauseMs: number } | undefined {
    const steps = this.steps.filter(({ options }) => (options.retries ?? 0) > this.done);
    if (steps.length === 0 || this.errors.length === 0) return undefined;
    const pause = pauseMs(this.done, this.errors, random);
    this.done++;
    this.errors = [];
    return { steps, pauseMs: pause };
  }
}
