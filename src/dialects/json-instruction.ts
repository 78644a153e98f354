/** What models are told that have no switch for answers in JSON without a schema. */
export const jsonInstruction =
  'Answer with one valid JSON value and nothing else: no explanation around it, no code fence.';
