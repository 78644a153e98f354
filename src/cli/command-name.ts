/** What to type to run a command of this program: `sluice`, or `bin/sluice` in a folder that it was cloned into. */
export const commandName = process.env.SLUICE_COMMAND ?? 'sluice';
