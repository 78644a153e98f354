/** A client's request as routes look at it; what few routes ask for is found out when they do. */
import type { Key } from '../config/snapshot.ts';
import type { Ask } from '../routing/moment.ts';
import type { Labels } from './labels.ts';

/** What a kind of call knows of its request. */
export interface Asking {
  stream: boolean;
  /** Estimated, rather too low than too high. */
  inputTokens: number;
  maxTokens: number | undefined;
  /** Digest of what stays the same through a conversation; ''. */
  digest(): string;
}

/** Who asks, and for what model: known when the route is opened. */
interface Asker {
  readonly model: string;
  readonly operation: string;
  readonly key: Key | undefined;
  readonly labels: Labels | undefined;
}

export class CallAsk implements Ask {
  private digest: string | undefined;

  constructor(
    private readonly asker: Asker,
    private readonly asking: Asking,
  ) {}

  get model(): string {
    return this.asker.model;
  }

  get operation(): string {
    return this.asker.operation;
  }

  get stream(): boolean {
    return this.asking.stream;
  }

  get inputTokens(): number {
    return this.asking.inputTokens;
  }

  get maxTokens(): number | undefined {
    return this.asking.maxTokens;
  }

  get key(): Key {
    return this.asker.key!;
  }

  get session(): string {
    return this.asker.labels?.session ?? '';
  }

  get endUser(): string {
    return this.asker.labels?.endUser ?? '';
  }

  get tags(): Readonly<Record<string, string>> {
    const tags: Record<string, string> = {};
    for (const tag of this.asker.labels?.tags.split(',') ?? []) {
      const at = tag.indexOf('=');
      if (at > 0) tags[tag.slice(0, at)] = tag.slice(at + 1);
    }
    return tags;
  }

  get prompt(): string {
    this.digest ??= this.asking.digest();
    return this.digest;
  }
}

/** Of a request whose size tells little, and that is part of no conversation. */
export function askingFor(inputTokens: number, stream = false): Asking {
  return { stream, inputTokens, maxTokens: undefined, digest: () => '' };
}
