/** What tests ask of the admin API of a running gateway, as the holder of some token. */
import { startGateway, type TestGateway } from '../e2e/gateway.ts';
import { postgres } from '../servers.ts';

export interface Asked {
  status: number;
  headers: Headers;
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever was answered.
  body: any;
}

export type Ask = (
  method: string,
  path: string,
  body?: unknown,
  headers?: Record<string, string>,
) => Promise<Asked>;

/** Asks below `/admin/v1` with a token. */
export function asking(url: string, token: string): Ask {
  return async (method, path, body, headers = {}) => {
    const response = await fetch(`${url}/admin/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, ...headers },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = /^application\/json(;|$)/.test(response.headers.get('content-type') ?? '');
    return {
      status: response.status,
      headers: response.headers,
      text,
      body: isJson ? JSON.parse(text) : undefined,
    };
  };
}

export interface Administered {
  gateway: TestGateway;
  /** As the owner of the first start. */
  owner: Ask;
  /** As somebody else, whose token the owner makes. */
  as(wish: object): Promise<Ask>;
}

export async function startAdministered(
  yaml: string,
  options: Parameters<typeof startGateway>[1] = {},
): Promise<Administered> {
  const gateway = await startGateway(yaml, options);
  const owner = asking(gateway.url, gateway.app.firstSecrets!.adminToken);
  return {
    gateway,
    owner,
    async as(wish) {
      const { status, body, text } = await owner('POST', '/tokens', { name: 'someone', ...wish });
      if (status !== 201) throw new Error(text);
      return asking(gateway.url, body.secret);
    },
  };
}

/** What a configuration says of either kind of store. */
export const stores: [kind: string, line: () => Promise<string>][] = [
  ['SQLite', async () => 'store: sqlite'],
  ['PostgreSQL', async () => `store: "${await (await postgres()).createDatabase()}"`],
];
