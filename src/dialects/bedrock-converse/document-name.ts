/** Names of documents as Bedrock takes them. */

const longestName = 200;

/**
 * Letters, digits, single spaces, hyphens, parentheses and brackets only; no name twice in a request.
 * https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_DocumentBlock.html
 */
export function fitName(name: string, taken: Set<string>): string {
  const plain = name
    .replace(/\.[a-z0-9]{1,5}$/i, '')
    .replace(/[^a-zA-Z0-9\-()[\]]+/g, ' ')
    .trim();
  let fitting = plain.slice(0, longestName).trimEnd() || 'document';
  for (let n = 2; taken.has(fitting.toLowerCase()); n++) {
    fitting = `${(plain || 'document').slice(0, longestName - 10)} (${n})`.replace(/\s+/g, ' ');
  }
  taken.add(fitting.toLowerCase());
  return fitting;
}
