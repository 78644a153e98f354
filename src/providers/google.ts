/** Google's access tokens: fetched when first needed, kept until shortly before they end, shared by all calls. */
import { readFile } from 'node:fs/promises';
import type { AuthClient, AwsClientOptions, IdentityPoolClientOptions, JWTInput } from 'google-auth-library';
import { GatewayError } from '../core/error.ts';
import type { Authorise } from './auth.ts';

const scope = 'https://www.googleapis.com/auth/cloud-platform';
const usualTokenUri = 'https://oauth2.googleapis.com/token';
/** A token is replaced when it ends sooner than this; the library does so five minutes before. */
const renewMs = 4 * 60_000;
const maxWaitMs = 15_000;

type AuthHeaders = Record<string, string>;
type Library = typeof import('google-auth-library');

/**
 * @param credentials a JSON file: a service account's key, a workload identity's configuration, a user's login;
 *   undefined: the machine's own identity or the user's that is logged in.
 * @param fetchHeaders fetches what authorises, and until when; for tests.
 */
export function googleToken(
  credentials: string | undefined,
  fetchHeaders: () => Promise<{ headers: AuthHeaders; untilMs: number }> = fetcher(credentials),
): Authorise {
  let held: { headers: AuthHeaders; untilMs: number } | undefined;
  let pending: Promise<AuthHeaders> | undefined;

  const renew = async (): Promise<AuthHeaders> => {
    try {
      held = await withinTime(fetchHeaders());
      return held.headers;
    } catch (thrown) {
      throw toRefusal(thrown);
    } finally {
      pending = undefined;
    }
  };

  return () => {
    const left = held === undefined ? 0 : held.untilMs - Date.now();
    if (left > renewMs) return held!.headers;
    pending ??= renew();
    if (left <= 0) return pending;
    // Still good: this call need not wait, nor fail when the next token is not to be had.
    pending.catch(() => {});
    return held!.headers;
  };
}

function fetcher(credentials: string | undefined) {
  let client: AuthClient | undefined;
  return async () => {
    try {
      client ??= await openClient(credentials);
      const headers = Object.fromEntries(await client.getRequestHeaders());
      return { headers, untilMs: client.credentials.expiry_date ?? 0 };
    } catch (thrown) {
      // The file may have been replaced by the next time.
      client = undefined;
      throw thrown;
    }
  };
}

/** The library is large: it is loaded when somebody needs it. */
async function openClient(path: string | undefined): Promise<AuthClient> {
  const library = await import('google-auth-library');
  if (path === undefined) return new library.GoogleAuth({ scopes: scope }).getClient();
  const file = await readCredentials(path);
  switch (file.type) {
    case 'service_account':
      return serviceAccount(file, library);
    case 'authorized_user': {
      const client = new library.UserRefreshClient();
      client.fromJSON(file);
      return client;
    }
    case 'external_account':
      return workload(file, library);
  }
  throw refusal(
    `credentials of type "${file.type}" are not known, only service_account, external_account and authorized_user`,
  );
}

function serviceAccount(file: JWTInput & { token_uri?: unknown }, library: Library): AuthClient {
  const client = new library.JWT({ scopes: scope });
  client.fromJSON(file);
  // The library asks the usual server, whatever the file says.
  if (typeof file.token_uri === 'string' && file.token_uri !== usualTokenUri) {
    const tokenUri = new URL(file.token_uri);
    client.transporter.interceptors.request.add({
      resolved: async (request) => {
        if (request.url.href === usualTokenUri) request.url = tokenUri;
        return request;
      },
    });
  }
  return client;
}

/** @throws Error when the file does not say where the workload's own token is had. */
function workload(file: object, library: Library): AuthClient {
  const source: object = 'credential_source' in file ? Object(file.credential_source) : {};
  if ('executable' in source) throw refusal('no program is run for credentials');
  const options = file as AwsClientOptions & IdentityPoolClientOptions;
  const client =
    'environment_id' in source ? new library.AwsClient(options) : new library.IdentityPoolClient(options);
  client.scopes = scope;
  return client;
}

async function readCredentials(path: string): Promise<JWTInput> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw refusal('its credentials file cannot be read', cause);
  }
  try {
    return JSON.parse(text) as JWTInput;
  } catch (cause) {
    throw refusal('its credentials file is not JSON', cause);
  }
}

async function withinTime<T>(waiting: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(unreachable(`no answer within ${maxWaitMs} ms`)), maxWaitMs);
  try {
    return await Promise.race([waiting, promise]);
  } finally {
    clearTimeout(timer);
    waiting.catch(() => {});
  }
}

/** A server that says no, and credentials that are none, are the operator's to mend; all else may pass. */
function toRefusal(thrown: unknown): GatewayError {
  if (thrown instanceof GatewayError) return thrown;
  const { status, code, message } = (thrown ?? {}) as { status?: number; code?: unknown; message?: string };
  const answered = typeof status === 'number';
  if (answered && status < 500 && status !== 429) return refusal(`the token server says ${message}`, thrown);
  if (answered) return unreachable(`the token server answered with status ${status}`, thrown);
  if (typeof code === 'string') return unreachable(`the token server cannot be reached (${code})`, thrown);
  return refusal(message ?? 'its credentials are not usable', thrown);
}

function refusal(why: string, cause?: unknown): GatewayError {
  return new GatewayError(
    'upstream_auth',
    `The gateway has no access token for this provider: ${why}. Its operator has to mend that.`,
    { cause },
  );
}

function unreachable(why: string, cause?: unknown): GatewayError {
  return new GatewayError('upstream_network', `The gateway could not fetch an access token: ${why}.`, {
    cause,
  });
}
