/** Calls of operations beside chat: the same way from top to bottom, with answers of their own kinds. */
import type { ClientDialect } from '../../dialects/dialect.ts';
import { clientDialects } from '../../dialects/index.ts';
import type { Operation } from '../../dialects/operations/operation.ts';
import type { Answer, ClientRequest } from '../../wire/http/server/messages.ts';
import { askingFor } from '../ask.ts';
import { Call } from '../call.ts';
import type { Gateway } from '../gateway.ts';
import { bindLimits, handle, type Kind, openRoute } from '../handle.ts';
import { Tries } from '../tries.ts';
import { answerOperation } from './operation-answer.ts';
import { readForm } from './operation-form.ts';
import { OperationInbound } from './operation-inbound.ts';

/** Whose words errors are in: the operations have the shapes of the dialect that stands first. */
export const operationDialect: ClientDialect = clientDialects[0]!;

/** Never rejects: every failure is an answer the client's SDK understands. */
export function handleOperation(
  request: ClientRequest,
  operation: Operation,
  gateway: Gateway,
): Promise<Answer> {
  const call = new Call(gateway, operationDialect, gateway.snapshot(), operation.name);
  return handle(request, operation, kind, call);
}

const kind: Kind<Operation, OperationInbound> = { plan: planTries, answer: answerOperation };

/** @throws GatewayError */
function planTries(
  call: Call,
  body: Uint8Array,
  operation: Operation,
  request: ClientRequest,
): Tries<OperationInbound> | Promise<Tries<OperationInbound>> {
  const form = readForm(body, request.headers.get('content-type') ?? '', operation);
  const { plan, first } = openRoute(call, form.ask.model, askingFor(0));
  bindLimits(call);
  const inbound = new OperationInbound(operation, form, call);
  const reserving = call.reserve(call.limits, inbound.needs(first.target), first.target);
  const tries = new Tries(call, inbound, request, plan, first);
  return reserving === undefined ? tries : reserving.then(() => tries);
}
