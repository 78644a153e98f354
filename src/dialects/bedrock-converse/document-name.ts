/** Names of documents as Bedrock takes them. */
import { UniqueNames } from '../unique-names.ts';

const longestName = 200;

/** The names of a request's documents: none twice, whatever its case. */
export function documentNames(): UniqueNames {
  return new UniqueNames(
    (name) => name.slice(0, longestName - 10).trimEnd(),
    (stem, n) => `${stem} (${n})`,
    (name) => name.toLowerCase(),
  );
}

/**
 * Letters, digits, single spaces, hyphens, parentheses and brackets only; no name twice in a request.
 * https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_DocumentBlock.html
 */
export function fitName(name: string, taken: UniqueNames): string {
  const plain = name
    .replace(/\.[a-z0-9]{1,5}$/i, '')
    .replace(/[^a-zA-Z0-9\-()[\]]+/g, ' ')
    .trim();
  return taken.take(plain.slice(0, longestName).trimEnd() || 'document');
}
