/** Batches are made of requests that their maker may send: each of them is looked at before any is run. */
import { targetsOf } from '../../config/targets.ts';
import { GatewayError } from '../../core/error.ts';
import { collectFiles } from '../../dialects/objects/index.ts';
import type { BatchCollection } from '../../dialects/objects/surface.ts';
import { authorise } from '../../governance/allow.ts';
import { utf8 } from '../../wire/bytes.ts';
import type { Answer } from '../../wire/http/server/messages.ts';
import { JsonSyntaxError, type Member, scanElements, scanMembers, valueText } from '../../wire/splice.ts';
import { readBody, readModel, scan, wrong } from '../body.ts';
import { canHold } from '../sold.ts';
import { unpriced } from '../tries.ts';
import { type Keeping, linesOf, parseDocument, readAll } from './errand.ts';
import { keyMarked } from './kept-objects.ts';
import { observe } from './object-documents.ts';
import type { Visit } from './object-visit.ts';

/** Files named in so many bytes of requests are looked up together. */
const lookUpEveryBytes = 1024 * 1024;

export async function createBatch(visit: Visit): Promise<Answer> {
  const { call, request } = visit;
  const body = await readBody(request, call.snapshot.settings.bodyLimitBytes);
  const collection = visit.asked.collection as BatchCollection;
  const { input } = collection;
  const members = scan(body);
  const check = new Check(visit, collection);
  await check.requireBudget();
  let keeping: Keeping;
  if ('file' in input) {
    const file = await visit.find(readId(body, only(members, input.file)), 'file');
    keeping = visit.locate(file);
    await check.file(`/files/${encodeURIComponent(file.id)}/content`, keeping);
  } else {
    const items = only(members, input.items);
    const requests = elementsOf(body.subarray(items.start, items.end), input.items);
    keeping = await placeFor(body, visit);
    for (const [i, item] of requests.entries()) await check.request(item, `${input.items}[${i}]`, keeping);
    await check.files();
  }
  const errand = { method: 'POST', headers: { 'content-type': 'application/json' }, body } as const;
  const ran = await visit.run(errand, collection.upstream + visit.search, keeping);
  const bytes = await readAll(ran);
  const document = parseDocument(bytes);
  const described = collection.describe(document);
  if (described === undefined) {
    throw new GatewayError('upstream_invalid', 'The provider answered something that describes no batch.');
  }
  const object = visit.made(keeping, described.id, 'batch');
  await visit.gateway.objects.note(object);
  await observe(object, document, visit.gateway);
  const relocated = visit.relocated(document);
  return visit.answer(relocated === document ? bytes : relocated, object.provider);
}

/** Where the files are that the requests name; else where such things are kept. */
async function placeFor(body: Uint8Array, visit: Visit): Promise<Keeping> {
  const { objects } = visit.gateway;
  const { snapshot, key } = visit.call;
  const surface = visit.asked.surface.name;
  const pins = await objects.guard(key!, body);
  for (const [name, mark] of pins ?? []) {
    const provider = snapshot.providers.get(name);
    const keeper = provider?.keeps?.get(surface);
    if (keeper !== undefined)
      return { provider: provider!, endpoint: keeper.endpoint, key: keyMarked(provider!, mark) };
  }
  const provider = visit.choose();
  return visit.keepAt(provider, provider.keeps!.get(surface)!.endpoint);
}

/** Looks at requests one by one. All throw GatewayErrors of the client's own making. */
class Check {
  private readonly models = new Set<string>();
  private readonly named = new Set<string>();
  private seenBytes = 0;
  private hasBudget = false;

  constructor(
    private readonly visit: Visit,
    private readonly collection: BatchCollection,
  ) {}

  /** What the batch will cost is not known: something has to be left of every limit. */
  async requireBudget(): Promise<void> {
    const { gateway } = this.visit.call;
    const limits = this.visit.call
      .limitsOnPath()
      .filter(({ limit }) => limit.unit === 'tokens' || limit.unit === 'usd');
    this.hasBudget = limits.some(({ limit }) => limit.unit === 'usd');
    const lease = await gateway.limiter.reserve(limits, { tokens: 1, nanoUsd: 1 }, Date.now());
    lease.cancel(Date.now());
  }

  /** The lines of a file, as its provider has it: what is looked at is what is run. */
  async file(path: string, keeping: Keeping): Promise<void> {
    const ran = await this.visit.run({ method: 'GET', headers: {}, body: undefined }, path, keeping);
    const { bodyLimitBytes } = this.visit.call.snapshot.settings;
    let number = 0;
    for await (const line of linesOf(ran, bodyLimitBytes)) {
      number++;
      await this.request(line, `line ${number} of the file`, keeping);
    }
    await this.files();
  }

  async request(item: Uint8Array, where: string, keeping: Keeping): Promise<void> {
    const model = modelOf(item, this.collection.requestMember, where);
    if (!this.models.has(model)) this.model(model, keeping);
    collectFiles(utf8(item), this.named);
    this.seenBytes += item.length;
    if (this.seenBytes < lookUpEveryBytes) return;
    await this.files();
  }

  /** Nothing is translated on the way: a model has the name that its provider knows it by. */
  private model(model: string, { provider }: Keeping): void {
    const { key, snapshot } = this.visit.call;
    const id = `${provider.name}/${model}`;
    authorise(key!, id);
    const route = snapshot.resolve(id);
    const target = route && targetsOf(route).find((each) => each.id === id);
    if (this.hasBudget && !(target && canHold(target, this.visit.call))) throw unpriced(target ?? { id });
    this.models.add(model);
  }

  /** Those that were named since the last time. @throws GatewayError `not_found` for somebody else's. */
  async files(): Promise<void> {
    this.seenBytes = 0;
    if (this.named.size === 0) return;
    const ids = [...this.named];
    this.named.clear();
    await this.visit.gateway.objects.pin(this.visit.call.key!, ids);
  }
}

function modelOf(item: Uint8Array, requestMember: string, where: string): string {
  try {
    const request = only(scanMembers(item), requestMember);
    const inner = item.subarray(request.start, request.end);
    return readModel(inner, only(scanMembers(inner), 'model'));
  } catch (error) {
    const why =
      error instanceof JsonSyntaxError || error instanceof GatewayError ? error.message : String(error);
    throw new GatewayError(
      'bad_request',
      `In ${where} there is no request with a model: ${why.replace(/\.$/, '')}.`,
      {
        param: where,
      },
    );
  }
}

/** Parsers differ in which of two they believe. */
function only(members: readonly Member[], name: string): Member {
  const [member, second] = members.filter((each) => each.name === name);
  if (second !== undefined) throw wrong(name, 'is given twice; give it once');
  if (member === undefined) throw wrong(name, 'is missing');
  return member;
}

function elementsOf(list: Uint8Array, name: string): Uint8Array[] {
  try {
    return scanElements(list);
  } catch {
    throw wrong(name, 'must be a list of requests');
  }
}

function readId(body: Uint8Array, member: Member): string {
  try {
    const id: unknown = JSON.parse(valueText(body, member));
    if (typeof id === 'string' && id !== '') return id;
  } catch {
    // Said below.
  }
  throw wrong(member.name, 'must be the id of a file');
}
