/** Amazon's signatures: every request is signed with a key that never travels. */
import { AwsV4Signer } from 'aws4fetch';
import type { Authorise } from './auth.ts';

export interface AwsKey {
  region: string;
  accessKeyId: string;
  secretAccessKey: string;
  /** Of temporary credentials. */
  sessionToken: string | undefined;
  /** The name the called service signs by: `bedrock`. */
  service: string;
}

/** Signing keys hold for a day each; only the last few are of use. */
const keptDays = 4;

/** Signature Version 4. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html */
export function signAws(key: AwsKey): Authorise {
  const cache = new Map<string, ArrayBuffer>();
  return async ({ url, body }) => {
    if (cache.size > keptDays) cache.clear();
    // Only what proves the sender is signed, for whatever lies between may change the other headers.
    const signer = new AwsV4Signer({ method: 'POST', url, body: body as string, cache, ...key });
    const { headers } = await signer.sign();
    return Object.fromEntries(headers);
  };
}
