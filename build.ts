/** Builds one executable, dist/sluice, with the runtime and everything else inside. */
const outfile = 'dist/sluice';

const result = await Bun.build({
  // A worker is an entry point of its own, found at its path below the root (src/core/worker-url.ts).
  entrypoints: ['src/main.ts', ...new Bun.Glob('src/**/*-worker.ts').scanSync()],
  root: 'src',
  target: 'bun',
  minify: true,
  // Parsed at build time: halves the time to the first answer.
  format: 'esm',
  bytecode: true,
  // The user's own directory is none of the executable's business.
  compile: { outfile, autoloadDotenv: false, autoloadBunfig: false },
});

if (!result.success) {
  for (const log of result.logs) console.error(log);
  process.exit(1);
}
console.log(outfile);

export {};
