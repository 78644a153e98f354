/** The log: JSON lines on standard error. No prompt text and no secret is ever handed to it. */
import pino, { type Logger } from 'pino';

export type { Logger };

export function createLog(level: string): Logger {
  return pino(
    {
      level,
      base: undefined,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (name) => ({ level: name }) },
      serializers: { error: pino.stdSerializers.err },
    },
    pino.destination({ fd: 2, sync: true }),
  );
}
