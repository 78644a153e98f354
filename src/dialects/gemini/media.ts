/** Images, documents, audio and video: bytes inside the request, or files that lie elsewhere. */
import type { MediaBlock } from '../../core/chat.ts';
import { isObject, type Json, type JsonObject, rest } from '../../core/json.ts';
import { sniffMimeType } from '../media-type.ts';
import { decode } from './path.ts';

type Media = MediaBlock['media'];
type Base64 = Extract<MediaBlock['source'], { type: 'base64' }>;

const knownInline = new Set(['mimeType', 'data', 'displayName']);
const knownFile = new Set(['fileUri', 'displayName']);

/** `{inlineData}` or `{fileData}`; undefined where it is neither, or says nothing. `extra`: what else a file has. */
export function readMedia(part: JsonObject): MediaBlock | undefined {
  const { inlineData, fileData } = part;
  if (isObject(inlineData) && typeof inlineData.data === 'string') {
    const mimeType = textOf(inlineData.mimeType);
    const source = { type: 'base64' as const, mimeType, data: inlineData.data };
    return withName({ type: 'media', media: mediaOf(mimeType), source }, inlineData, knownInline);
  }
  if (isObject(fileData) && typeof fileData.fileUri === 'string') {
    const { fileUri } = fileData;
    const media = mediaOf(textOf(fileData.mimeType) || guessType(fileUri) || unknownType(fileUri));
    // What lies in Google's stores only Google can read.
    const source = isStored(fileUri)
      ? { type: 'file' as const, id: fileUri }
      : { type: 'url' as const, url: fileUri };
    return withName({ type: 'media', media, source }, fileData, knownFile);
  }
  return undefined;
}

function withName(block: MediaBlock, value: JsonObject, known: ReadonlySet<string>): MediaBlock {
  if (typeof value.displayName === 'string') block.name = value.displayName;
  const extra = rest(value, known);
  if (extra !== undefined) block.extra = extra;
  return block;
}

/**
 * The part that shows `block`; undefined for a file that only another provider knows. `data:` URLs become bytes. The
 * type of a file elsewhere is guessed where nobody says it: Vertex AI insists on one.
 */
export function writeMedia(block: MediaBlock, own: boolean): JsonObject | undefined {
  const { source, media, name } = block;
  const extra: JsonObject = (own && block.extra) || {};
  const named: JsonObject = own && name !== undefined ? { displayName: name } : {};
  switch (source.type) {
    case 'base64':
      return { inlineData: { mimeType: typeOf(source, own), data: source.data, ...named, ...extra } };
    case 'text': {
      const data = Buffer.from(source.text).toString('base64');
      return { inlineData: { mimeType: 'text/plain', data, ...named } };
    }
    case 'url': {
      if (source.url.startsWith('data:')) return { inlineData: readDataUrl(source.url) };
      if (own) return { fileData: { fileUri: source.url, ...named, ...extra } };
      return { fileData: { fileUri: source.url, mimeType: guessType(source.url) ?? usualTypes[media] } };
    }
    case 'file':
      return own || isStored(source.id)
        ? { fileData: { fileUri: source.id, ...named, ...extra } }
        : undefined;
  }
}

/** What the file is, rather than what others say it is. */
function typeOf({ mimeType, data }: Base64, own: boolean): string {
  return (own ? undefined : sniffMimeType(data)) ?? mimeType;
}

function readDataUrl(url: string): JsonObject {
  const comma = url.indexOf(',');
  const [mimeType = '', ...parameters] = url.slice('data:'.length, comma).split(';');
  const data = url.slice(comma + 1);
  if (parameters.includes('base64')) return { mimeType, data };
  return { mimeType: mimeType || 'text/plain', data: Buffer.from(decode(data)).toString('base64') };
}

/** Cloud Storage, and files that were uploaded to the API. https://ai.google.dev/api/files */
function isStored(uri: string): boolean {
  return /^gs:\/\/|^https:\/\/generativelanguage\.googleapis\.com\/|^files\//.test(uri);
}

function mediaOf(mimeType: string): Media {
  const [kind] = mimeType.split('/', 1);
  return kind === 'image' || kind === 'audio' || kind === 'video' ? kind : 'document';
}

/** Where neither a type nor an ending is told: YouTube is the one site whose pages the API watches. */
function unknownType(uri: string): string {
  return /^https:\/\/(www\.|m\.)?(youtube\.com|youtu\.be)\//.test(uri) ? 'video/*' : '';
}

const usualTypes: Readonly<Record<Media, string>> = {
  image: 'image/jpeg',
  document: 'application/pdf',
  audio: 'audio/mpeg',
  video: 'video/mp4',
};

const endings: Readonly<Record<string, string>> = {
  jpg: 'image/jpeg', jpeg: 'image/jpeg', png: 'image/png', webp: 'image/webp', gif: 'image/gif', heic: 'image/heic',
  heif: 'image/heif', pdf: 'application/pdf', txt: 'text/plain', md: 'text/markdown', html: 'text/html',
  csv: 'text/csv', json: 'application/json', mp3: 'audio/mpeg', wav: 'audio/wav', ogg: 'audio/ogg',
  flac: 'audio/flac', aac: 'audio/aac', m4a: 'audio/mp4', mp4: 'video/mp4', mov: 'video/quicktime',
  webm: 'video/webm', mpeg: 'video/mpeg',
}; // biome-ignore format: one list

function guessType(url: string): string | undefined {
  const ending = /\.([a-z0-9]{2,5})(?:[?#]|$)/i.exec(url)?.[1]?.toLowerCase();
  return ending !== undefined && Object.hasOwn(endings, ending) ? endings[ending] : undefined;
}

function textOf(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
}
