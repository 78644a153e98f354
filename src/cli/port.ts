/** `--port N`: the same for everything that listens. */
import { InvalidArgumentError } from 'commander';

/** 0 stands for a free one. */
export function readPort(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535) throw new InvalidArgumentError('Give a port from 0 to 65535.');
  return port;
}
