/** The request of an operation beside chat, as each target is to be sent it. */
import type { Endpoint, Target } from '../../config/snapshot.ts';
import { GatewayError } from '../../core/error.ts';
import { covers } from '../../core/money.ts';
import type { Usage } from '../../core/usage.ts';
import type { Ask, Operation, Spoken, Translation } from '../../dialects/operations/operation.ts';
import type { Amounts } from '../../governance/leases.ts';
import { boundText } from '../bound-text.ts';
import type { Call } from '../call.ts';
import { type Countable, maxChars } from '../estimate.ts';
import { needsOf } from '../expected-usage.ts';
import { type Outbound, plainOutbound } from '../render.ts';
import { canHold } from '../sold.ts';
import { unpriced } from '../tries.ts';
import type { Form } from './operation-form.ts';

export interface OperationOutbound extends Outbound {
  /** Absent: the answer is in the clients' shape already. */
  translation: Translation | undefined;
  /** Bodies of all the requests that the host needs; `body` is the first. */
  bodies: readonly string[];
}

export class OperationInbound implements Countable {
  /** What the call may use, guessed before it is sent. */
  readonly estimate: Usage;
  readonly ask: Ask;
  /** Asked last. */
  private target: Target | undefined;

  constructor(
    readonly operation: Operation,
    private readonly form: Form,
    private readonly call: Call,
  ) {
    this.ask = form.ask;
    const text = operation.text(form.ask);
    const limited = call.whenExhausted !== undefined;
    const tokens = limited ? boundText(Buffer.from(text)) : Math.ceil(Buffer.byteLength(text) / 4);
    this.estimate = operation.estimate(form.ask, tokens);
  }

  /** @throws GatewayError `unsupported`, or `bad_request` for what no host would understand. */
  render(target: Target): OperationOutbound {
    const { call } = this;
    this.target = target;
    if (call.hasBudget && !canHold(target, call, this.estimate)) throw unpriced(target);
    const { endpoint, path, spoken } = this.placeAt(target);
    const { translation } = spoken;
    const lost: string[] = [];
    const written = translation?.write(this.ask, target.model, lost) ?? [];
    if (written.length > maxRequests) {
      throw new GatewayError(
        'unsupported',
        `${target.id} takes so little at once that this would be ${written.length} requests, more than ${maxRequests}. Send less in one call.`,
      );
    }
    const bodies = written.map((body) => JSON.stringify(body));
    const body =
      bodies[0] ?? (this.ask.model === target.model ? this.form.body : this.form.withModel(target));
    return {
      ...plainOutbound(target, endpoint, path, body, translation === undefined),
      lost,
      ...(translation === undefined && { contentType: this.form.contentType }),
      translation,
      bodies,
    };
  }

  needs(target: Target): Amounts {
    return needsOf(this.estimate, target, this.call);
  }

  /** Where a target is asked for it: in the first of its dialects that has words for it. */
  private placeAt(target: Target): { endpoint: Endpoint; path: string; spoken: Spoken } {
    for (const endpoint of target.endpoints) {
      const spoken = this.operation.spoken(endpoint.dialect.name, target.model, target.quirks);
      const path = spoken && pathAt(endpoint, target, spoken);
      if (spoken !== undefined && path !== undefined) return { endpoint, path, spoken };
    }
    throw new GatewayError(
      'unsupported',
      `${target.id} cannot be asked for ${this.operation.name}. Name a model that can, or add one to the route.`,
      { param: 'model' },
    );
  }

  /** Whether the cost can be told from `usage`; where the target has no price, any does. */
  isEnough(usage: Usage | undefined): boolean {
    const price = this.target?.price;
    return usage !== undefined && (price === undefined || covers(price, usage));
  }

  /** What so much of the call may have used: only what is priced by tokens is ever asked for in parts. */
  share(part: number): Usage {
    const { input, output, units, ...others } = this.estimate;
    const image = units?.image;
    return {
      ...others,
      input: Math.ceil(input * part),
      output: Math.ceil(output * part),
      units: image === undefined ? units : { ...units, image: Math.ceil(image * part) },
    };
  }

  async complete(...[usage, passed, countTokens]: Parameters<Countable['complete']>): Promise<Usage> {
    if (usage !== undefined && this.isEnough(usage)) return usage;
    const text = this.operation.text(this.ask);
    const counted = await countTokens(text.slice(0, maxChars));
    // Of a longer text the beginning is counted, and the rest is taken to be like it.
    const tokens = text.length <= maxChars ? counted : Math.ceil((counted * text.length) / maxChars);
    const guess = this.operation.estimate(this.ask, tokens);
    const units = { ...guess.units, ...usage?.units };
    if (usage !== undefined) return { ...(usage.input + usage.output > 0 ? usage : guess), units };
    return passed === undefined ? readOnly(guess) : guess;
  }
}

/** As many as OpenAI takes texts in one call: https://platform.openai.com/docs/api-reference/embeddings/create */
const maxRequests = 2048;

/** A provider that was asked has read the request, whatever it has answered since. */
function readOnly({ units, ...guess }: Usage): Usage {
  const { image: _, imageKind: __, ...heard } = units ?? {};
  return { ...guess, output: 0, audioOutput: 0, imageOutput: 0, units: heard };
}

/** In the place of a chat call's path; undefined where the host has one of its own for that. */
function pathAt(endpoint: Endpoint, { model }: Target, spoken: Spoken): string | undefined {
  // Half a character fits into no URL.
  const name = model.toWellFormed();
  const usual = endpoint.dialect.path(name, false);
  const placed = endpoint.path(model, false);
  return placed.includes(usual) ? placed.replace(usual, () => spoken.path(name)) : undefined;
}
