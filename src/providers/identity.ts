/** Where the credentials come from that sign a call or fetch its token: members of the configuration, or variables. */
import type { Authorise, Identity } from './auth.ts';
import { signAws } from './aws.ts';
import { googleToken } from './google.ts';

/** Members of a provider's configuration. */
export const credentialNames = [
  'access_key_id',
  'secret_access_key',
  'session_token',
  'credentials',
] as const;

export type Credential = (typeof credentialNames)[number] | 'region';

export type Credentials = Readonly<Partial<Record<Credential, string>>>;

interface IdentityKind {
  /** What it takes, and the variables that usually hold it. */
  takes: Readonly<Partial<Record<Credential, readonly string[]>>>;
  needs: readonly Credential[];
  /** Given this, nobody is asked for a key. */
  token: Credential;
  /** @param service the name that the called service signs by. */
  authorise(given: Credentials, service: string): Authorise;
}

export function isIdentity(scheme: string | undefined): scheme is Identity {
  return scheme !== undefined && Object.hasOwn(identities, scheme);
}

export const identities: Readonly<Record<Identity, IdentityKind>> = {
  // https://docs.aws.amazon.com/sdkref/latest/guide/environment-variables.html
  'aws-sigv4': {
    takes: {
      region: ['AWS_REGION', 'AWS_DEFAULT_REGION'],
      access_key_id: ['AWS_ACCESS_KEY_ID'],
      secret_access_key: ['AWS_SECRET_ACCESS_KEY'],
      session_token: ['AWS_SESSION_TOKEN'],
    },
    needs: ['region', 'access_key_id', 'secret_access_key'],
    token: 'access_key_id',
    authorise: (given, service) =>
      signAws({
        region: given.region ?? '',
        accessKeyId: given.access_key_id ?? '',
        secretAccessKey: given.secret_access_key ?? '',
        sessionToken: given.session_token,
        service,
      }),
  },
  // https://cloud.google.com/docs/authentication/application-default-credentials
  google: {
    takes: { credentials: ['GOOGLE_APPLICATION_CREDENTIALS'] },
    needs: [],
    token: 'credentials',
    authorise: (given) => googleToken(given.credentials),
  },
};
