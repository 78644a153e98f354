/** How something ended, for laws in which refusing is as good an end as any if it is done with the right word. */
import { type ErrorKind, GatewayError } from '../../src/core/error.ts';

/** The kind of GatewayError that `act` throws; undefined when it does not. Anything else it throws is passed on. */
export function throwsKind(act: () => unknown): ErrorKind | undefined {
  try {
    act();
    return undefined;
  } catch (thrown) {
    if (thrown instanceof GatewayError) return thrown.kind;
    throw thrown;
  }
}
