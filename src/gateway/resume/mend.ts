/** Mends a stream that broke off after its beginning was shown: another attempt goes on with it, where the route says so. */
import type { Target } from '../../config/snapshot.ts';
import { clientGone, GatewayError, toGatewayError } from '../../core/error.ts';
import type { Usage } from '../../core/usage.ts';
import type { Attempt } from '../attempt.ts';
import { type Countable, settleCounted } from '../estimate.ts';
import { reachStream } from '../reach.ts';
import { type Stage, TranslateStage } from '../stages.ts';
import { Standing } from '../standing.ts';
import { type Live, settleGone } from '../stream.ts';
import type { StreamMeter } from '../stream-meter.ts';
import type { Tries } from '../tries.ts';
import { Upstream } from '../upstream.ts';
import { ClientStream } from './client-stream.ts';
import { addOutput, Continuation } from './continuation.ts';
import { KeptRelay } from './kept-relay.ts';
import { askToGoOn, wayOn } from './way.ts';

/** About as many as it takes to ask for going on. */
const askingTokens = 200;

/** Settles an attempt that has failed before it had anything to say. @returns why, in the gateway's words. */
type Fail = (thrown: unknown, tries: Tries, attempt: Attempt, upstream: Upstream) => Promise<GatewayError>;

export class Mending {
  private stream: ClientStream | undefined;
  /** What the attempts have used that had a part in the answer. */
  private used: Usage | undefined;
  /** Frames that the stream has to have before anything else. */
  private gap = '';

  constructor(
    private readonly tries: Tries,
    private readonly fail: Fail,
    private readonly meterFor: (tries: Tries) => StreamMeter | undefined,
  ) {}

  /**
   * @param broken is settled, and closed, where this is tried at all.
   * @returns what goes on with the answer; undefined where nothing does: then the call is over.
   */
  async mend(failure: GatewayError, broken: Live): Promise<Live | undefined> {
    const { call } = this.tries;
    const stream = this.standing(failure, broken.stage);
    if (stream === undefined) return undefined;
    stream.dropWaiting();
    const { attempt } = broken;
    attempt.settling ??= settleBroken(failure, broken, this.tries.inbound);
    broken.upstream.close();
    await attempt.settling;
    const usage = attempt.usage!;
    this.used = this.used === undefined ? usage : addOutput(this.used, usage);
    this.tries.failed(failure);
    const live = await this.goOn(stream, this.used).catch((thrown) => this.giveUp(thrown));
    const gone = this.tries.request.gone;
    if (live === undefined) call.end(gone ? 499 : 200, gone ? clientGone() : failure);
    call.gateway.observer.resumed({
      call: call.id,
      from: attempt.target.id,
      to: live?.attempt.target.id,
      failure: failure.kind,
    });
    return live;
  }

  /** Where the client stands, if that is a place to go on from. */
  private standing(failure: GatewayError, stage: Stage): ClientStream | undefined {
    const { tries } = this;
    if (failure.kind === 'cancelled' || tries.request.gone || stage.complete) return undefined;
    this.stream ??= this.streamOf(stage);
    const shown = this.stream?.shown;
    if (shown?.resumable !== true) return undefined;
    return tries.options.resume === 'continue' || shown.isBlank ? this.stream : undefined;
  }

  private streamOf(stage: Stage): ClientStream | undefined {
    if (!(stage instanceof KeptRelay))
      return stage instanceof TranslateStage && stage.teller instanceof ClientStream
        ? stage.teller
        : undefined;
    try {
      this.gap = stage.gap;
      return stage.replay(this.tries.inbound.wish);
    } catch (thrown) {
      // What passed unread cannot always be read.
      return this.giveUp(thrown);
    }
  }

  /** The client hears of the failure that was to be mended, not of why it could not be. */
  private giveUp(thrown: unknown): undefined {
    const { call } = this.tries;
    const error = toGatewayError(thrown);
    if (error.kind === 'internal')
      call.gateway.observer.alarm('internal', { call: call.id, error: error.cause ?? error });
  }

  private async goOn(stream: ClientStream, used: Usage): Promise<Live | undefined> {
    const { tries } = this;
    const { shown } = stream;
    const added = shown.isBlank ? 0 : used.output + askingTokens;
    let next = tries.goOn(askToGoOn(shown, used.output), added);
    while (await next) {
      try {
        return await this.ask(stream, used);
      } catch (thrown) {
        tries.failed(asReplaceable(toGatewayError(thrown)));
      }
      next = tries.next();
    }
    return undefined;
  }

  /** @throws GatewayError where nothing comes of it. */
  private async ask(stream: ClientStream, used: Usage): Promise<Live> {
    const { tries } = this;
    const { call, inbound, outbound, options, request } = tries;
    const { target, endpoint } = outbound;
    if (outbound.form !== undefined) throw unchecked(target);
    const attempt = call.dispatch(outbound, true);
    attempt.addedTokens = stream.shown.isBlank ? 0 : used.output;
    const upstream = new Upstream(outbound, call.gateway.deadlines, request, options.timeouts);
    try {
      const way = wayOn(stream.shown, inbound.chat(), target, endpoint);
      const telling = new Continuation(stream, way, used);
      const stage = new TranslateStage(inbound.dialect, outbound, telling, inbound.remember);
      if (call.whenExhausted === 'cut') stage.standing = new Standing();
      const open = await reachStream(tries, stage, attempt, upstream);
      tries.begun(attempt);
      attempt.meter = this.meterFor(tries);
      upstream.onGone = () => settleGone(attempt, stage, inbound);
      if (request.gone) upstream.abandon();
      telling.begun = true;
      open.ready = [this.gap + stream.remark('sluice-resumed', `target=${plain(target.id)}`)];
      this.gap = '';
      const told = stream.take();
      if (told !== undefined) open.ready.push(told);
      return { open, stage, upstream, attempt };
    } catch (thrown) {
      throw await this.fail(thrown, tries, attempt, upstream);
    }
  }
}

async function settleBroken(failure: GatewayError, broken: Live, inbound: Countable): Promise<void> {
  const { attempt, stage } = broken;
  const counting = settleCounted(attempt, failure.kind, stage.usage, false, stage, inbound);
  if (counting !== undefined) await counting;
}

/** The client's request was good enough for the first: what is refused is how it was asked to be gone on with. */
function asReplaceable(error: GatewayError): GatewayError {
  return error.kind === 'upstream_bad_request'
    ? new GatewayError('unsupported', error.message, { cause: error })
    : error;
}

/** What is asked for in words is to be checked, and corrected, before any of it is shown. */
function unchecked({ id }: Target): GatewayError {
  return new GatewayError(
    'unsupported',
    `${id} has to be told in words which form its answer is to have: it cannot go on with a stream.`,
  );
}

/** Clients choose the names of models; a remark is one line. */
function plain(id: string): string {
  return id.replace(/[^\x21-\x7e]/g, '?');
}
