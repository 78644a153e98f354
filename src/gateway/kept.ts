/** Kept answers by their ids: looked up, listed with what was asked, deleted. */
import { GatewayError, toGatewayError } from '../core/error.ts';
import { newCallId } from '../core/id.ts';
import type { JsonObject } from '../core/json.ts';
import type { ClientDialect, Keeping } from '../dialects/dialect.ts';
import { extractSecret } from '../governance/keys.ts';
import type { Answer, ClientRequest } from '../wire/http/server/messages.ts';
import { admitFrom } from './admit-from.ts';
import type { Gateway } from './gateway.ts';
import { ownerOf } from './names.ts';
import { errorResponse } from './respond.ts';

/** @param rest what follows the place of kept answers in the path: an id, and what is wanted of it. */
export async function handleKept(
  request: ClientRequest,
  rest: string,
  dialect: ClientDialect,
  keeping: Keeping,
  gateway: Gateway,
): Promise<Answer> {
  const id = newCallId();
  try {
    const body = await serve(request, rest, keeping, gateway);
    const headers = { 'content-type': 'application/json', 'x-request-id': id };
    return { status: 200, headers, body: JSON.stringify(body) };
  } catch (thrown) {
    const error = toGatewayError(thrown);
    if (error.kind === 'internal')
      gateway.observer.alarm('internal', { call: id, error: error.cause ?? error });
    return errorResponse(error, dialect, undefined, id);
  }
}

async function serve(
  request: ClientRequest,
  rest: string,
  keeping: Keeping,
  gateway: Gateway,
): Promise<JsonObject> {
  const key = gateway.keyring.authenticate(extractSecret(request.headers, request.url), Date.now());
  admitFrom(key, 'chat', request, gateway.snapshot());
  const owner = ownerOf(key);
  const [id = '', part] = rest.split('/');
  const answer = await gateway.answers.find(owner, id);
  const found = answer !== undefined && (part === undefined || part === keeping.inputs);
  if (!found) {
    throw new GatewayError(
      'not_found',
      `There is no answer '${rest}' here. The gateway keeps answers of providers that keep none themselves, for thirty days, under ids of its own.`,
      { code: 'answer_not_found' },
    );
  }
  if (request.method === 'DELETE' && part === undefined) {
    await gateway.answers.remove(owner, id);
    return keeping.writeDeleted(id);
  }
  if (request.method !== 'GET') {
    throw new GatewayError('method_not_allowed', `${request.method} is not possible with a kept answer.`);
  }
  return part === undefined
    ? JSON.parse(answer.response)
    : keeping.writeInputs(JSON.parse(answer.request), id);
}
