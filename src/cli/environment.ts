/** What must be in the environment before Bun starts: too late for the process that finds it missing. */

/** Bun's own default is 256 upstream requests at once, far too few for a gateway. */
const needed = { BUN_CONFIG_MAX_HTTP_REQUESTS: '65336' };

/** Replaces this process by one of its own kind with what is missing; does nothing when all is there. */
export function completeEnvironment(): void {
  const missing = Object.keys(needed).some((name) => process.env[name] === undefined);
  if (!missing || process.execve === undefined || process.platform === 'win32') return;
  // A compiled executable is its own entry point; run from source, the entry point is an argument.
  const compiled = import.meta.url.includes('$bunfs');
  const args = compiled ? process.argv.slice(2) : process.argv.slice(1);
  process.execve(process.execPath, [process.execPath, ...args], { ...process.env, ...needed });
}
