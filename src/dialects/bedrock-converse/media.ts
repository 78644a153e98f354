/** Images, documents, audio and video as bytes with a format, the only way besides S3 in which Bedrock takes them. */
import type { MediaBlock } from '../../core/chat.ts';
import { GatewayError } from '../../core/error.ts';
import { isObject, type Json, type JsonObject, rest } from '../../core/json.ts';
import { sniffMimeType } from '../media-type.ts';
import type { UniqueNames } from '../unique-names.ts';
import { fitName } from './document-name.ts';

type Kind = MediaBlock['media'];

/** https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html */
const formats: Readonly<Record<Kind, Readonly<Record<string, string>>>> = {
  image: { png: 'image/png', jpeg: 'image/jpeg', gif: 'image/gif', webp: 'image/webp' },
  document: {
    pdf: 'application/pdf',
    csv: 'text/csv',
    doc: 'application/msword',
    docx: 'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
    xls: 'application/vnd.ms-excel',
    xlsx: 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet',
    html: 'text/html',
    txt: 'text/plain',
    md: 'text/markdown',
  },
  audio: {
    mp3: 'audio/mpeg',
    wav: 'audio/wav',
    aac: 'audio/aac',
    flac: 'audio/flac',
    m4a: 'audio/m4a',
    mp4: 'audio/mp4',
    ogg: 'audio/ogg',
    opus: 'audio/opus',
    pcm: 'audio/pcm',
    webm: 'audio/webm',
  },
  video: {
    mp4: 'video/mp4',
    mov: 'video/quicktime',
    mkv: 'video/x-matroska',
    webm: 'video/webm',
    flv: 'video/x-flv',
    mpeg: 'video/mpeg',
    wmv: 'video/x-ms-wmv',
    three_gp: 'video/3gpp',
  },
};

export const kinds = Object.keys(formats) as readonly Kind[];

const known: Readonly<Record<Kind, ReadonlySet<string>>> = {
  image: new Set(['format', 'source']),
  document: new Set(['format', 'source', 'name']),
  audio: new Set(['format', 'source']),
  video: new Set(['format', 'source']),
};

/** Undefined for sources and formats without a word in the hub: S3 locations, documents made of chunks. */
export function readMedia(media: Kind, value: JsonObject): MediaBlock | undefined {
  const mimeType = typeof value.format === 'string' ? formats[media][value.format] : undefined;
  const source = mimeType === undefined ? undefined : readSource(media, mimeType, value.source);
  if (source === undefined) return undefined;
  const block: MediaBlock = { type: 'media', media, source };
  if (media === 'document' && typeof value.name === 'string') block.name = value.name;
  const extra = rest(value, known[media]);
  if (extra !== undefined) block.extra = extra;
  return block;
}

function readSource(
  media: Kind,
  mimeType: string,
  source: Json | undefined,
): MediaBlock['source'] | undefined {
  if (!isObject(source)) return undefined;
  if (typeof source.bytes === 'string') return { type: 'base64', mimeType, data: source.bytes };
  if (media !== 'document' || typeof source.text !== 'string') return undefined;
  return { type: 'text', mimeType, text: source.text };
}

// Writing

/** One that was read from this dialect, as it was. */
export function writeOwnMedia({ media, source, name, extra }: MediaBlock): JsonObject {
  const written: JsonObject = {};
  if (source.type === 'base64' || source.type === 'text') {
    written.format = formatOf(media, source.mimeType);
    written.source = source.type === 'base64' ? { bytes: source.data } : { text: source.text };
  }
  if (name !== undefined) written.name = name;
  return { [media]: { ...written, ...extra } };
}

/**
 * @param names gets the document's name, which is to differ from those it has.
 * @throws GatewayError `unsupported` for formats that no model reads, and for addresses.
 */
export function writeMedia(
  { media, source, name }: MediaBlock,
  path: string,
  names: UniqueNames,
): JsonObject {
  if (source.type !== 'base64' && source.type !== 'text') {
    return refuse(path, `${media}s must be sent whole, not as the address or the id of a file`);
  }
  const sniffed = source.type === 'base64' && isPicture(media) ? sniffMimeType(source.data) : undefined;
  const mimeType = sniffed ?? normalise(source.mimeType);
  // A picture may come as a file, and a scanned page as a picture.
  const kind = sniffed === undefined ? media : sniffed === 'application/pdf' ? 'document' : 'image';
  const format = formatOf(kind, mimeType) ?? (kind === 'document' && isText(mimeType) ? 'txt' : undefined);
  if (format === undefined) {
    return refuse(path, `${kind}s must be one of ${Object.keys(formats[kind]).join(', ')}, not ${mimeType}`);
  }
  const bytes = source.type === 'base64' ? source.data : Buffer.from(source.text).toString('base64');
  const file: JsonObject = { format, source: { bytes } };
  if (kind === 'document') file.name = fitName(name ?? '', names);
  return { [kind]: file };
}

function isPicture(media: Kind): boolean {
  return media === 'image' || media === 'document';
}

function isText(mimeType: string): boolean {
  return mimeType.startsWith('text/') || /^application\/(json|xml|yaml|x-yaml|javascript)$/.test(mimeType);
}

const otherNames: Readonly<Record<string, string>> = {
  'image/jpg': 'image/jpeg',
  'audio/mp3': 'audio/mpeg',
  'audio/wave': 'audio/wav',
  'audio/x-wav': 'audio/wav',
  'audio/x-m4a': 'audio/m4a',
  'audio/x-flac': 'audio/flac',
  'video/mov': 'video/quicktime',
};

function normalise(mimeType: string): string {
  const plain = mimeType.split(';', 1)[0]!.trim().toLowerCase();
  return otherNames[plain] ?? plain;
}

function formatOf(media: Kind, mimeType: string): string | undefined {
  for (const format in formats[media]) if (formats[media][format] === mimeType) return format;
  return undefined;
}

function refuse(path: string, why: string): never {
  throw new GatewayError(
    'unsupported',
    `${path}: for the model behind this route ${why}. Change it, or route the call to another model.`,
    { param: path },
  );
}
