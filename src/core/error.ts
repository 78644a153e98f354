/** Every way a call can fail, in one table: what the client hears and whether another target is tried. */

/**
 * `status`: HTTP status for the client. `retry`: another target or key may do better. `blame`: counts against the
 * target's health. Errors of the client's own making are neither retried nor blamed on anybody.
 */
export const errorKinds = {
  // The client's request
  bad_request: { status: 400, retry: false, blame: false },
  unauthorized: { status: 401, retry: false, blame: false },
  forbidden: { status: 403, retry: false, blame: false },
  not_found: { status: 404, retry: false, blame: false },
  method_not_allowed: { status: 405, retry: false, blame: false },
  too_large: { status: 413, retry: false, blame: false },
  rate_limited: { status: 429, retry: false, blame: false },
  budget_exceeded: { status: 429, retry: false, blame: false },
  cancelled: { status: 499, retry: false, blame: false },
  // This target cannot say what was asked; another may. Nobody's fault.
  unsupported: { status: 400, retry: true, blame: false },
  context_length: { status: 400, retry: true, blame: false },
  // The provider
  upstream_bad_request: { status: 400, retry: false, blame: false },
  upstream_content_filter: { status: 400, retry: false, blame: false },
  upstream_not_found: { status: 404, retry: true, blame: false },
  /** The provider refused *our* key, or, blameless, something that it does not allow us: the client's own key is fine. */
  upstream_auth: { status: 502, retry: true, blame: true },
  upstream_quota: { status: 429, retry: true, blame: true },
  upstream_rate_limited: { status: 429, retry: true, blame: true },
  upstream_overloaded: { status: 503, retry: true, blame: true },
  upstream_unavailable: { status: 502, retry: true, blame: true },
  /** A connection that had waited for work was closed as the call came; the same again on a new one. */
  upstream_stale: { status: 502, retry: true, blame: false },
  upstream_network: { status: 502, retry: true, blame: true },
  upstream_timeout: { status: 504, retry: true, blame: true },
  /** It answered something that is not an answer: broken JSON, a stream that ended early, an unknown shape. */
  upstream_invalid: { status: 502, retry: true, blame: true },
  // The gateway
  /** What the call cannot do without is not to be had just now. */
  unavailable: { status: 503, retry: false, blame: false },
  draining: { status: 503, retry: false, blame: false },
  internal: { status: 500, retry: false, blame: false },
} as const;

export type ErrorKind = keyof typeof errorKinds;

export interface ErrorDetail {
  /** Which request member is wrong: `messages[2].content[0].type`. */
  param?: string;
  /** Machine-readable code in the words of the field: `model_not_found`, `context_length_exceeded`. */
  code?: string;
  /** Seconds after which a retry makes sense. */
  retryAfterS?: number;
  /** Nobody's health suffers from it, though others of its kind are the target's fault. */
  blameless?: boolean;
  /** Asking again cannot help, now or later: SDKs that retry by themselves are told not to. */
  hopeless?: boolean;
  /** Status to answer with, where the upstream's own says more than the table. */
  status?: number;
  /** The upstream's answer, passed on verbatim when the client speaks the same dialect. */
  upstream?: { status: number; body: Uint8Array };
  cause?: unknown;
}

/** The only error whose message reaches a client; it says what is wrong and what to do. */
export class GatewayError extends Error {
  override readonly name = 'GatewayError';

  constructor(
    readonly kind: ErrorKind,
    message: string,
    readonly detail: ErrorDetail = {},
  ) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause });
  }

  get status(): number {
    return this.detail.status ?? errorKinds[this.kind].status;
  }

  get retry(): boolean {
    return errorKinds[this.kind].retry;
  }

  get blame(): boolean {
    return errorKinds[this.kind].blame && this.detail.blameless !== true;
  }
}

/** How a call ends whose client does not wait for its answer. */
export function clientGone(): GatewayError {
  return new GatewayError('cancelled', 'The client went away.');
}

/** Whatever was thrown, as something a client may hear: unknown errors become `internal` and tell nothing. */
export function toGatewayError(thrown: unknown): GatewayError {
  if (thrown instanceof GatewayError) return thrown;
  return new GatewayError(
    'internal',
    'Something went wrong inside the gateway; its log has the details under this request id.',
    { cause: thrown },
  );
}
