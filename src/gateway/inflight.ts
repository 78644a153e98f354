/** The calls that are running, so that a gateway told to stop can let them finish. */

export class Inflight {
  count = 0;
  /** No other node should send calls here any more. */
  stopping = false;
  /** New calls are refused. */
  draining = false;
  private idle: (() => void) | undefined;
  /** Calls that do not end by themselves: told when the time is over. */
  readonly sessions = new Set<{ drain(): void }>();

  enter(): void {
    this.count++;
  }

  leave(): void {
    this.count--;
    if (this.count === 0) this.idle?.();
  }

  /** Waits until no call is running, and refuses new ones from then on. @returns false when `drainMs` was not enough. */
  async drain(drainMs: number): Promise<boolean> {
    const finished = await this.finish(drainMs);
    this.draining = true;
    for (const session of this.sessions) session.drain();
    return finished;
  }

  private async finish(drainMs: number): Promise<boolean> {
    if (this.count === 0) return true;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<boolean>((resolve) => {
      timer = setTimeout(() => resolve(false), drainMs);
    });
    const idle = new Promise<boolean>((resolve) => {
      this.idle = () => resolve(true);
    });
    const finished = await Promise.race([idle, late]);
    clearTimeout(timer);
    return finished;
  }
}
