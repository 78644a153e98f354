/** What a request cannot do without is in the store: where that is away, the client hears it in words it can act on. */
import { GatewayError } from '../core/error.ts';

/** @throws GatewayError `unavailable` for whatever `asked` rejects with. */
export async function fromStore<T>(asked: Promise<T>): Promise<T> {
  try {
    return await asked;
  } catch (cause) {
    if (cause instanceof GatewayError) throw cause;
    throw new GatewayError(
      'unavailable',
      'What this request refers to is kept in the store of this gateway, which is away just now. Retry later, or ask without referring to it.',
      { cause, retryAfterS: 10 },
    );
  }
}
