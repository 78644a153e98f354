/** Files in Gemini's shape. https://ai.google.dev/api/files */
import { gemini } from '../gemini.ts';
import { type Collection, readDate, readLimit, readText, type Surface } from './surface.ts';

/** Whichever a client asks for, providers are asked for the one that is configured. */
const versions = ['v1beta', 'v1', 'v1alpha'];

const files: Collection = {
  kind: 'file',
  paths: versions.map((version) => `/${version}/files`),
  upstream: '/files',
  removable: true,
  parts: { download: { method: 'GET', answer: 'bytes', mark: ':' } },
  upload: {
    paths: versions.map((version) => `/upload/${version}/files`),
    nextHeader: 'x-goog-upload-url',
    idParameter: 'upload_id',
    headers: 'x-goog-upload-',
  },
  describe({ name, state, expirationTime }) {
    const id = typeof name === 'string' ? /^files\/([^/]+)$/.exec(name)?.[1] : undefined;
    if (id === undefined) return undefined;
    return { id, final: state !== 'PROCESSING', expiresAt: readDate(expirationTime) };
  },
  unwrap: ({ file }) => file,
  readPage: (query) => ({
    limit: readLimit(query, 'pageSize', 10, 100),
    after: readText(query, 'pageToken'),
  }),
  writePage(documents, more) {
    const last = more ? documents.at(-1) : undefined;
    const next = last && files.describe(last)?.id;
    return { files: [...documents], ...(next === undefined ? {} : { nextPageToken: next }) };
  },
};

export const geminiObjects: Surface = {
  name: 'gemini',
  client: gemini,
  dialects: ['gemini'],
  files,
  // The version stands at the end of the base URL, and after `upload` where files are sent to.
  uploadBase: (base) => base.replace(/\/(v\d\w*)$/, '/upload/$1'),
};
