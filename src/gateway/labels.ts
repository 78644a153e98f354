/** What a client says about a call in `x-sluice-*` headers, bounded and in canonical form. */
import { GatewayError } from '../core/error.ts';

export interface Labels {
  /** `a=b,c=d`, sorted by name; '' for none. */
  tags: string;
  session: string;
  endUser: string;
}

const none: Labels = { tags: '', session: '', endUser: '' };
const maxTags = 10;
const tagForm = /^[\w.:/@-]{1,64}=[\w.:/@ -]{1,64}$/;

/** @throws GatewayError `bad_request` for tags that are not `a=b,c=d`. */
export function readLabels(headers: Pick<Headers, 'get'>): Labels {
  const tags = headers.get('x-sluice-tags');
  const session = headers.get('x-sluice-session');
  const endUser = headers.get('x-sluice-end-user');
  if (tags === null && session === null && endUser === null) return none;
  return { tags: readTags(tags), session: bounded(session), endUser: bounded(endUser) };
}

function readTags(text: string | null): string {
  if (text === null || text.trim() === '') return '';
  const tags = text.split(',').map((tag) => tag.trim());
  if (tags.length > maxTags || !tags.every((tag) => tagForm.test(tag))) {
    throw new GatewayError(
      'bad_request',
      `x-sluice-tags takes up to ${maxTags} tags as a=b,c=d, each side up to 64 of letters, digits and _.:/@-`,
      { param: 'x-sluice-tags' },
    );
  }
  return [...new Set(tags)].sort().join(',');
}

function bounded(text: string | null): string {
  return text === null ? '' : text.slice(0, 128);
}
