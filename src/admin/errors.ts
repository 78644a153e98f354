/** What the admin API answers when it does not do what was asked: always the same shape. */
import { z } from '@hono/zod-openapi';

export const errorShape = z
  .object({
    error: z.object({
      code: z.string(),
      message: z.string(),
      mistakes: z
        .array(z.object({ path: z.string(), message: z.string() }))
        .optional()
        .describe('Everything that is wrong with the request, each at its place.'),
    }),
  })
  .openapi('Error');

export type ErrorAnswer = z.infer<typeof errorShape>;

const statuses = {
  bad_request: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  conflict: 409,
  changed_meanwhile: 412,
  too_large: 413,
  other_request: 422,
  internal: 500,
  not_configured: 501,
  store_unavailable: 503,
} as const;

export type AdminErrorCode = keyof typeof statuses;

/** A refusal; its message is for whoever asked. */
export class AdminError extends Error {
  override readonly name = 'AdminError';

  constructor(
    readonly code: AdminErrorCode,
    message: string,
    readonly detail: { mistakes?: { path: string; message: string }[]; cause?: unknown } = {},
  ) {
    super(message, { cause: detail.cause });
  }

  get status() {
    return statuses[this.code];
  }

  get answer(): ErrorAnswer {
    const { code, message } = this;
    const { mistakes } = this.detail;
    return { error: { code, message, ...(mistakes === undefined ? {} : { mistakes }) } };
  }
}

/** Said in the same words of what is not there and of what belongs to somebody else. */
export function unknown(kind: string, id: string): AdminError {
  return new AdminError('not_found', `There is no ${kind} ${JSON.stringify(id)}.`);
}

/** @param sent whether there was a token at all. */
export function unauthorised(sent = true): AdminError {
  return new AdminError(
    'unauthorized',
    sent
      ? 'This admin token is not known here, was revoked or has expired. Keys that applications call with do not open the admin API.'
      : 'Send an admin token as `Authorization: Bearer TOKEN`.',
  );
}

/** All that a schema had to say, at once. @param where what is wrong as a whole. */
export function mistaken(mistakes: { path: string; message: string }[], where = 'The request'): AdminError {
  const [first] = mistakes;
  const more = mistakes.length > 1 ? `; ${mistakes.length - 1} more under mistakes` : '';
  const place = first === undefined || first.path === '' ? where : first.path;
  const says = `${place}: ${first?.message ?? 'is wrong'}${more}.`;
  // What ends with a suggestion is a question.
  return new AdminError('bad_request', says.replace(/\?\.$/, '?'), { mistakes });
}
