/** One request for files or batches: who asks, what is held of their limits, and how it is answered. */
import type { Endpoint, Provider } from '../../config/snapshot.ts';
import type { JsonObject } from '../../core/json.ts';
import type { KeptObject, Maker, ObjectKind } from '../../core/objects.ts';
import type { Answer, ClientRequest } from '../../wire/http/server/messages.ts';
import type { Call } from '../call.ts';
import type { Errand } from '../headers.ts';
import { ownerOf } from '../names.ts';
import { type Keeping, passOn, type Ran, run, wholeProvider } from './errand.ts';
import { madeNow, markOf, noSuch } from './kept-objects.ts';
import { chooseProvider, type Located, locate, providerHeader } from './object-places.ts';
import type { ObjectAsked } from './objects.ts';

export class Visit {
  /** A provider was asked: then the request counts. */
  private sent = false;

  constructor(
    readonly call: Call,
    readonly request: ClientRequest,
    readonly asked: ObjectAsked,
    readonly query: URLSearchParams,
  ) {}

  get gateway() {
    return this.call.gateway;
  }

  get owner(): string {
    return ownerOf(this.call.key!);
  }

  /** A request that is no call of a model needs of its limits only that it is one, and runs. @throws GatewayError `rate_limited`. */
  async reserve(): Promise<void> {
    const { limiter } = this.gateway;
    const limits = this.call
      .limitsOnPath()
      .filter(({ limit }) => limit.unit === 'requests' || limit.unit === 'concurrency');
    this.call.lease = await limiter.reserve(limits, { tokens: 0, nanoUsd: 0 }, Date.now());
  }

  /** Gives back what was reserved; more often than once does nothing. */
  settle(): void {
    if (this.sent) this.call.lease?.settle({ tokens: 0, nanoUsd: 0 }, Date.now());
    else this.call.lease?.cancel(Date.now());
  }

  end(status: number): void {
    this.settle();
    this.call.end(status);
  }

  /** What the path, or `id`, names, if it is the caller's. @throws GatewayError `not_found`. */
  async find(id = this.asked.id, kind: ObjectKind = this.asked.collection.kind): Promise<KeptObject> {
    const named = this.request.headers.get(providerHeader);
    const surface = this.asked.surface.name;
    const found = (await this.gateway.objects.findOwn(this.call.key!, [id])).filter(
      (object) =>
        object.kind === kind && object.surface === surface && (named === null || object.provider === named),
    );
    // Providers make up ids by themselves: two may have had the same idea.
    const newest = found.sort((a, b) => b.createdAt - a.createdAt)[0];
    if (newest === undefined) throw noSuch(kind, id);
    return newest;
  }

  locate(object: KeptObject): Located {
    return locate(object, this.call.snapshot);
  }

  /** Where something new is kept. @throws GatewayError saying what to send. */
  choose(): Provider {
    const named = this.request.headers.get(providerHeader);
    return chooseProvider(this.asked.surface.name, named, this.call.key!, this.call.snapshot);
  }

  /** A provider is asked with whichever of its keys is next. */
  keepAt(provider: Provider, endpoint: Endpoint): Keeping {
    return { provider, endpoint, key: this.gateway.health.pickKey(wholeProvider(provider), Date.now()) };
  }

  /** @throws GatewayError as `run` does. */
  run(errand: Errand, path: string, keeping: Keeping, onUpstream?: Parameters<typeof run>[5]): Promise<Ran> {
    this.sent = true;
    this.call.target = keeping.provider.name;
    // A refusal of the surface's own is one that its clients understand.
    this.call.answeredBy = this.asked.surface.client;
    return run(errand, path, keeping, this.gateway, this.request, onUpstream);
  }

  /** Something that has just been made, as it is noted. */
  made(keeping: Keeping, id: string, kind: ObjectKind): KeptObject {
    return {
      id,
      kind,
      provider: keeping.provider.name,
      surface: this.asked.surface.name,
      owner: this.owner,
      keyMark: markOf(keeping.key),
      maker: this.maker,
      createdAt: madeNow(),
      expiresAt: undefined,
      document: undefined,
      final: false,
      charged: false,
    };
  }

  private get maker(): Maker {
    const { id, key, labels } = this.call;
    const { name, team, organisation } = key!;
    return {
      call: id,
      keyId: key!.id,
      key: name,
      team,
      organisation,
      tags: labels!.tags,
      session: labels!.session,
      endUser: labels!.endUser,
    };
  }

  /** What follows the path: but not a key, which was for the gateway. */
  get search(): string {
    const query = new URLSearchParams(this.query);
    query.delete('key');
    return query.size === 0 ? '' : `?${query}`;
  }

  /** A document, as this client is to see it. */
  relocated(document: JsonObject): JsonObject {
    return this.asked.collection.relocate?.(document, originOf(this.request)) ?? document;
  }

  answer(body: JsonObject | Uint8Array, provider?: string, more?: Readonly<Record<string, string>>): Answer {
    this.end(200);
    const headers = { ...this.headers(provider), 'content-type': 'application/json', ...more };
    const bytes = body instanceof Uint8Array ? body : JSON.stringify(body);
    return { status: 200, headers, body: bytes };
  }

  /** Bytes of a provider's answer, as they come. */
  answerBytes(ran: Ran, provider: string): Answer {
    // Whatever a file says it is, a browser is to run none of it in the gateway's name.
    const headers = {
      ...this.headers(provider),
      'content-security-policy': 'sandbox',
      'x-content-type-options': 'nosniff',
    } as Record<string, string>;
    for (const name of ['content-type', 'content-disposition']) {
      const value = ran.reply.header(name);
      if (value !== null) headers[name] = value;
    }
    ran.upstream.onGone = () => this.end(499);
    const body = endingWith(passOn(ran), () => this.end(200));
    return { status: 200, headers, body };
  }

  private headers(provider: string | undefined): Record<string, string> {
    const { id, dialect } = this.call;
    const headers: Record<string, string> = { 'x-request-id': id };
    if (dialect.idHeader !== undefined) headers[dialect.idHeader] = id;
    if (provider !== undefined) headers[providerHeader] = provider;
    return headers;
  }
}

async function* endingWith<T>(source: AsyncIterable<T>, end: () => void): AsyncGenerator<T> {
  try {
    yield* source;
  } finally {
    end();
  }
}

/** Where the client has found the gateway: what stands before it may have taken off the TLS. */
export function originOf(request: ClientRequest): string {
  const secure = request.headers.get('x-forwarded-proto') === 'https';
  return `${secure ? 'https' : 'http'}://${request.headers.get('host')}`;
}
