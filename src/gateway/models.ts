/** Lists of models (GET /v1/models, or where a dialect has them) and single ones: the names a key may use, in the dialect asked for. */
import { GatewayError, toGatewayError } from '../core/error.ts';
import { newCallId } from '../core/id.ts';
import type { JsonObject } from '../core/json.ts';
import type { ClientDialect } from '../dialects/dialect.ts';
import { authorise, mayUse } from '../governance/allow.ts';
import { extractSecret } from '../governance/keys.ts';
import type { Answer, ClientRequest } from '../wire/http/server/messages.ts';
import { admitFrom } from './admit-from.ts';
import type { Gateway } from './gateway.ts';
import { describeModel, listedModels } from './model-cards.ts';
import { errorResponse } from './respond.ts';

/** @param escaped what the path says after that of the list: a model's name, or nothing. */
export function listModels(
  request: ClientRequest,
  path: string,
  escaped: string,
  dialect: ClientDialect,
  gateway: Gateway,
): Answer {
  const id = newCallId();
  try {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      throw new GatewayError('method_not_allowed', `${path} takes GET, not ${request.method}.`);
    }
    const key = gateway.keyring.authenticate(extractSecret(request.headers, request.url), Date.now());
    const snapshot = gateway.snapshot();
    admitFrom(key, undefined, request, snapshot);
    const named = decode(escaped);
    let body: JsonObject;
    if (named === '') {
      const allowed = listedModels(snapshot, dialect).filter(({ id: model }) => mayUse(key, model));
      body = dialect.writeModels(allowed.map(({ entry }) => entry));
    } else {
      authorise(key, named);
      const route = snapshot.resolve(named);
      if (route === undefined) {
        throw new GatewayError('not_found', `The model "${named}" is not known here.`, {
          code: 'model_not_found',
        });
      }
      body = dialect.writeModel(describeModel(named, route, dialect));
    }
    const headers = { 'content-type': 'application/json', 'x-request-id': id };
    return { status: 200, headers, body: JSON.stringify(body) };
  } catch (thrown) {
    return errorResponse(toGatewayError(thrown), dialect, undefined, id);
  }
}

/** What is no proper escape is taken as it stands: then it is no model's name either. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
