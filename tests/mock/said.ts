/** What the tests of the vendors' clients ask, and what the mock says to it. */

export const said = 'Grüße aus Köln 🎉, wie geht es dir heute?';
export const thought = 'The user wrote something. I will answer with their own words.';
export const tokens = Math.ceil(said.length / 4);
export const schema = {
  type: 'object' as const,
  properties: { city: { type: 'string' }, days: { type: 'integer', minimum: 3 } },
  required: ['city'],
};
/** What a tool of that schema is called with. */
export const called = { city: said.slice(0, 40), days: 3 };

/** What was thrown. */
// biome-ignore lint/suspicious/noExplicitAny: errors are looked into freely
export const failureOf = (call: Promise<unknown>): Promise<any> =>
  call.then(
    () => 'nothing was thrown',
    (thrown) => thrown,
  );
