/** What an organisation pays beside what its calls cost, as the configuration has it. */
import { z } from 'zod';

/** What is paid where neither is stated, in parts per million of the cost. */
const atCostPpm = 1_000_000;
/** A markup of more is a mistyped one. */
const maxPercent = 900;

/** `20%`, `12.5%`: to parts per million, exactly. */
const percent = (max: number) =>
  z.string({ error: 'must be text such as 20%, in quotes in JSON' }).transform((given, context) => {
    const [, whole = '', fraction = ''] = /^(\d{1,3})(?:\.(\d{1,4}))?\s*%$/.exec(given.trim()) ?? [];
    const ppm = whole === '' ? Number.NaN : Number(whole + fraction.padEnd(4, '0'));
    if (ppm <= max * 10_000) return ppm;
    context.addIssue({
      code: 'custom',
      message: `"${given}" is not usable; write 20% or 12.5%, at most ${max}%`,
    });
    return z.NEVER;
  });

export const pricing = z
  .strictObject({
    markup: percent(maxPercent).optional().describe('Pays so much more than its calls cost, such as 20%.'),
    discount: percent(100).optional().describe('Pays so much less than its calls cost, such as 10%.'),
  })
  .refine(({ markup, discount }) => (markup === undefined) !== (discount === undefined), {
    error: 'must have one of markup and discount',
  })
  .describe('What the organisation pays for its calls. Default: what they cost.');

/** @returns parts per million of the cost. */
export function sellPpmOf({ markup = 0, discount = 0 }: z.output<typeof pricing>): number {
  return atCostPpm + markup - discount;
}
