/** What a server of HTTP hands to whoever answers, and what it is given back. */
import type { Tunnel } from '../../tunnel.ts';

/** Headers of a request, by names in whatever case; lines of one name are joined with commas. */
export interface RequestHeaders extends Iterable<[name: string, value: string]> {
  /** Null when it is not there. */
  get(name: string): string | null;
  has(name: string): boolean;
}

/** Whether whoever asked is still there. */
export interface Presence {
  readonly gone: boolean;
}

export interface ClientRequest extends Presence {
  readonly method: string;
  /** Path and query as they were sent. */
  readonly url: string;
  readonly headers: RequestHeaders;
  /** Aborted when the client has gone: made when it is asked for, and `gone` costs nothing. */
  readonly signal: AbortSignal;
  /** The client's IP address, or that of whatever stands before it. */
  readonly address: string;
  /** As it comes, no faster than it is taken; null where there is none. Rejects with HttpError `closed` when it is cut. */
  readonly body: AsyncIterable<Uint8Array> | null;
  /** The whole body, at once where it is here. Rejects as `body` does. */
  bytes(): Uint8Array | Promise<Uint8Array>;
}

export type Part = Uint8Array | string;

/** Where a body of unknown length is written to. */
export interface Outlet extends Presence {
  /** @returns what to wait for before more is written, where the client has to catch up; it never rejects. */
  write(part: Part): Promise<void> | undefined;
}

/** Writes a body part by part. It stops once the client is gone; where it rejects, the client sees the answer cut. */
export type Flow = (out: Outlet) => Promise<void>;

export interface WrittenAnswer {
  status: number;
  headers: Readonly<Record<string, string>>;
  body: Part | Flow | AsyncIterable<Part>;
}

/** The connection goes on in another protocol. */
export interface SwitchedAnswer {
  status: 101;
  headers: Readonly<Record<string, string>>;
  switched(tunnel: Tunnel): void;
}

export type Answer = WrittenAnswer | SwitchedAnswer | Response;

/** Never to be written with: what it breaks is HTTP. `status` is what its sender is told. */
export class RequestError extends Error {
  override readonly name = 'RequestError';

  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}
