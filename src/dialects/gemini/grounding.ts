/** Sources of an answer: `groundingMetadata` and `citationMetadata`, which count in bytes, as citations of the hub. */
import type { Block, Citation, TextBlock } from '../../core/chat.ts';
import { isObject, type Json, type JsonObject } from '../../core/json.ts';
import { dialectName, textOf } from './read-part.ts';

/**
 * The citations of `text`: one for each source of each supported passage, or for each source where no passage is
 * told. https://ai.google.dev/api/generate-content#GroundingMetadata
 */
export function readSources(text: string, candidate: JsonObject): Citation[] {
  const { groundingMetadata, citationMetadata } = candidate;
  return [
    ...(isObject(groundingMetadata) ? readGrounding(text, groundingMetadata) : []),
    ...(isObject(citationMetadata) ? readCitations(text, citationMetadata) : []),
  ];
}

function readGrounding(text: string, metadata: JsonObject): Citation[] {
  const chunks = listOf(metadata.groundingChunks);
  const supports = listOf(metadata.groundingSupports);
  if (supports.length === 0) return chunks.map((chunk) => citationOf(text, chunk, undefined));
  return supports.flatMap(({ segment, groundingChunkIndices: indices }) =>
    (Array.isArray(indices) ? indices : []).flatMap((index) => {
      const chunk = typeof index === 'number' ? chunks[index] : undefined;
      return chunk === undefined ? [] : [citationOf(text, chunk, isObject(segment) ? segment : undefined)];
    }),
  );
}

/** A chunk has one member, named by the kind of its source: `web`, `retrievedContext`, `maps`… */
function citationOf(text: string, chunk: JsonObject, segment: JsonObject | undefined): Citation {
  const source = Object.values(chunk).find(isObject) ?? {};
  const citation: Citation = {
    value: segment === undefined ? { chunk } : { chunk, segment },
    dialect: dialectName,
  };
  return place(describe(citation, source), text, segment);
}

/** `citationSources` is what it was called before. */
function readCitations(text: string, metadata: JsonObject): Citation[] {
  return listOf(metadata.citations ?? metadata.citationSources).map((value) =>
    place(describe({ value, dialect: dialectName }, value), text, value),
  );
}

function describe(citation: Citation, { uri, title }: JsonObject): Citation {
  if (typeof uri === 'string') citation.url = uri;
  if (typeof title === 'string') citation.title = title;
  return citation;
}

/** Where the passage stands in UTF-16 units; not at all where bytes and words do not agree. */
function place(citation: Citation, text: string, segment: JsonObject | undefined): Citation {
  if (segment === undefined) return citation;
  const { startIndex = 0, endIndex } = segment;
  const words = textOf(segment.text);
  if (words !== '') citation.text = words;
  if (typeof startIndex !== 'number' || typeof endIndex !== 'number') return citation;
  const bytes = Buffer.from(text);
  const start = bytes.subarray(0, startIndex).toString().length;
  const end = start + bytes.subarray(startIndex, endIndex).toString().length;
  if (words !== '' && text.slice(start, end) !== words) return citation;
  return { ...citation, start, end };
}

function listOf(value: Json | undefined): JsonObject[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

// Writing

/** Citations of other dialects as `groundingMetadata`; undefined where none of them names a URL. */
export function writeSources(blocks: readonly Block[]): JsonObject | undefined {
  const chunks: JsonObject[] = [];
  const supports: JsonObject[] = [];
  let bytesBefore = 0;
  for (const block of blocks) {
    if (block.type !== 'text') continue;
    for (const citation of block.citations ?? []) {
      if (citation.url === undefined || citation.dialect === dialectName) continue;
      const uri = citation.url;
      const title = citation.title ?? uri;
      const known = chunks.findIndex(({ web }) => isObject(web) && web.uri === uri);
      const index = known < 0 ? chunks.push({ web: { uri, title } }) - 1 : known;
      supports.push({ segment: segmentOf(citation, block, bytesBefore), groundingChunkIndices: [index] });
    }
    bytesBefore += Buffer.byteLength(block.text);
  }
  return chunks.length === 0 ? undefined : { groundingChunks: chunks, groundingSupports: supports };
}

/** A citation without a place holds for the whole text it stands with. */
function segmentOf({ start, end }: Citation, { text }: TextBlock, bytesBefore: number): JsonObject {
  const passage = text.slice(start, end);
  const startIndex = bytesBefore + Buffer.byteLength(text.slice(0, start ?? 0));
  return { startIndex, endIndex: startIndex + Buffer.byteLength(passage), text: passage };
}
