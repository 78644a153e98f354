/** One realtime session of the mock: hears events, keeps the conversation, answers as its model name asks. */
import { isObject, type Json, type JsonObject } from '../../core/json.ts';
import type { Tunnel } from '../../wire/tunnel.ts';
import type { Message } from '../../wire/websocket/frames.ts';
import { WebSocketPeer } from '../../wire/websocket/peer.ts';
import { type Ask, hear, newAsk } from '../ask.ts';
import type { Behaviour } from '../behaviour.ts';
import { countTokens, respond } from '../plan.ts';
import type { Visit } from '../play.ts';
import { audioTokens, type ServerEvent, sayResponse } from './events.ts';

const maxMessageBytes = 64 * 1024 * 1024;
/** Events of a response that pass before a fault, where the model name does not say. */
const usualAfter = 3;
const invalid = 'invalid_request_error';

type Heard = (event: JsonObject) => void;

export class RealtimeTalk {
  private peer!: WebSocketPeer;
  private tunnel!: Tunnel;
  private readonly ask: Ask;
  private session: JsonObject;
  /** Bytes of audio that were not committed yet, and of all that were. */
  private audioBytes = 0;
  private committedBytes = 0;
  /** The answer that is being played. */
  private playing: { cancelled: boolean } | undefined;
  private readonly hearers: Readonly<Record<string, Heard>>;

  constructor(
    model: string,
    private readonly transcribes: boolean,
    private readonly behaviour: Behaviour,
    private readonly newId: (prefix: string) => string,
  ) {
    this.ask = newAsk({}, model, true);
    this.session = {
      type: transcribes ? 'transcription' : 'realtime',
      object: transcribes ? 'realtime.transcription_session' : 'realtime.session',
      id: newId('sess_'),
      ...(transcribes ? {} : { model }),
      output_modalities: ['text'],
      instructions: '',
      tools: [],
      tool_choice: 'auto',
      audio: { input: { format: { type: 'audio/pcm', rate: 24_000 }, transcription: null } },
    };
    this.hearers = {
      'session.update': (event) => this.update(event),
      'conversation.item.create': (event) => this.create(event),
      'input_audio_buffer.append': (event) => this.append(event),
      'input_audio_buffer.commit': () => this.commit(),
      'input_audio_buffer.clear': () => {
        this.audioBytes = 0;
        this.say({ type: 'input_audio_buffer.cleared' });
      },
      'response.create': (event) => this.respond(event),
      'response.cancel': () => this.cancel(),
    };
  }

  /** Until one side ends it. */
  async run(tunnel: Tunnel, visit: Visit): Promise<void> {
    this.tunnel = tunnel;
    const events = {
      message: (message: Message) => this.hear(message),
      ping: () => {},
      drained: () => {},
      closed: () => {
        if (this.playing !== undefined) this.playing.cancelled = true;
        visit.finish();
      },
    };
    this.peer = new WebSocketPeer(tunnel, events, false, maxMessageBytes);
    this.say({ type: 'session.created', session: this.session });
    await this.peer.listen();
  }

  private say(event: ServerEvent): void {
    this.peer.send(JSON.stringify({ ...event, event_id: this.newId('event_') }));
  }

  private complain(message: string, code: string, param: string | null = null): void {
    this.say({ type: 'error', error: { type: invalid, code, message, param, event_id: null } });
  }

  private hear(message: Message): void {
    const event = typeof message === 'string' ? parse(message) : undefined;
    if (event === undefined) {
      this.complain('Could not parse the event as JSON.', 'invalid_json');
      return;
    }
    const { type } = event;
    const hearer =
      typeof type === 'string' && Object.hasOwn(this.hearers, type) ? this.hearers[type] : undefined;
    if (hearer === undefined) this.complain(`Invalid value: '${type}'.`, 'invalid_value', 'type');
    else hearer(event);
  }

  private update({ session }: JsonObject): void {
    if (!isObject(session)) {
      this.complain("Missing required parameter: 'session'.", 'missing_required_parameter', 'session');
      return;
    }
    this.session = merged(this.session, session);
    const { tools } = this.session;
    this.ask.tools = (Array.isArray(tools) ? tools : []).flatMap((tool) =>
      isObject(tool) && typeof tool.name === 'string'
        ? [{ name: tool.name, schema: tool.parameters ?? {} }]
        : [],
    );
    this.say({ type: 'session.updated', session: this.session });
  }

  private create({ item }: JsonObject): void {
    if (!isObject(item)) {
      this.complain("Missing required parameter: 'item'.", 'missing_required_parameter', 'item');
      return;
    }
    if (item.type === 'function_call_output') hear(this.ask, 'tool', String(item.output ?? ''));
    else hear(this.ask, item.role === 'user' ? 'user' : 'system', textOf(item.content));
    this.added({ ...item, id: item.id ?? this.newId('item_'), status: 'completed' });
  }

  private added(item: JsonObject): void {
    this.say({ type: 'conversation.item.added', previous_item_id: null, item });
    this.say({ type: 'conversation.item.done', previous_item_id: null, item });
  }

  private append({ audio }: JsonObject): void {
    if (typeof audio === 'string') this.audioBytes += Buffer.byteLength(audio, 'base64');
    else this.complain("Missing required parameter: 'audio'.", 'missing_required_parameter', 'audio');
  }

  private commit(): void {
    const bytes = this.audioBytes;
    if (bytes === 0) {
      this.complain('The buffer is empty: there is nothing to commit.', 'input_audio_buffer_commit_empty');
      return;
    }
    this.audioBytes = 0;
    this.committedBytes += bytes;
    const id = this.newId('item_');
    const text = `[audio ${bytes} bytes]`;
    this.ask.text = text;
    this.ask.afterTool = false;
    this.say({ type: 'input_audio_buffer.committed', previous_item_id: null, item_id: id });
    this.added({ id, type: 'message', role: 'user', content: [{ type: 'input_audio', transcript: null }] });
    const transcriber = transcriberOf(this.session);
    if (transcriber === undefined) return;
    this.say({
      type: 'conversation.item.input_audio_transcription.completed',
      item_id: id,
      content_index: 0,
      transcript: text,
      usage: transcriptUsage(transcriber, bytes, text),
    });
  }

  private respond({ response }: JsonObject): void {
    if (this.transcribes) {
      this.complain('A transcription session answers nothing.', 'invalid_value', 'type');
      return;
    }
    if (this.playing !== undefined) {
      this.complain('There is an answer under way.', 'conversation_already_has_active_response');
      return;
    }
    const wish = merged(this.session, isObject(response) ? response : {});
    const plan = respond(this.ask, this.behaviour, () => this.newId('call_'));
    const speaks = Array.isArray(wish.output_modalities) && wish.output_modalities.includes('audio');
    const heard = audioTokens.heard(this.committedBytes);
    const said = sayResponse(plan, { newId: this.newId, speaks, heard, metadata: wish.metadata });
    for (const part of plan.parts) {
      if (part.type === 'text') this.ask.textLength += part.text.length;
    }
    const playing = { cancelled: false };
    this.playing = playing;
    void this.play(said, playing).finally(() => {
      if (this.playing === playing) this.playing = undefined;
    });
  }

  /** The events of an answer at their pace, with the fault that was asked for. */
  private async play(events: readonly ServerEvent[], playing: { cancelled: boolean }): Promise<void> {
    const { firstMs = 0, delayMs = 0, fault, after = usualAfter } = this.behaviour;
    for (let i = 0; i < events.length; i++) {
      const waitMs = i === 0 ? firstMs : delayMs;
      if (waitMs > 0) await Bun.sleep(waitMs);
      const event = events[i]!;
      if (playing.cancelled) {
        const last = events.at(-1)!;
        const { response } = last;
        this.say({ ...last, response: { ...(response as JsonObject), status: 'cancelled' } });
        return;
      }
      if (fault !== undefined && i >= after && this.fail(fault, event)) return;
      this.say(event);
    }
  }

  /** @returns whether nothing follows. */
  private fail(fault: NonNullable<Behaviour['fault']>, event: ServerEvent): boolean {
    switch (fault) {
      case 'stall':
        return true;
      case 'cut':
      case 'reset':
        this.tunnel.cut();
        return true;
      case 'malformed':
        this.peer.send(JSON.stringify(event).slice(0, 40));
        return false;
      case 'error-event':
        this.say({
          type: 'error',
          error: {
            type: 'server_error',
            code: null,
            message: 'The server had an error.',
            param: null,
            event_id: null,
          },
        });
        this.peer.close(1011, 'server_error');
        return true;
    }
  }

  private cancel(): void {
    if (this.playing === undefined)
      this.complain('There is no answer under way.', 'response_cancel_not_active');
    else this.playing.cancelled = true;
  }
}

function parse(text: string): JsonObject | undefined {
  try {
    const event = JSON.parse(text) as Json;
    return isObject(event) ? event : undefined;
  } catch {
    return undefined;
  }
}

/** Members of both, those of `more` where both have them; objects are merged likewise. */
function merged(one: JsonObject, more: JsonObject): JsonObject {
  const all: JsonObject = { ...one };
  for (const [name, value] of Object.entries(more)) {
    const before = all[name];
    all[name] = isObject(value) && isObject(before) ? merged(before, value) : value;
  }
  return all;
}

function textOf(content: Json | undefined): string {
  return [content]
    .flat()
    .flatMap((part) => (isObject(part) && typeof part.text === 'string' ? [part.text] : []))
    .join('\n');
}

function transcriberOf({ audio }: JsonObject): string | undefined {
  const input = isObject(audio) && isObject(audio.input) ? audio.input : {};
  const { transcription } = input;
  return isObject(transcription) && typeof transcription.model === 'string' ? transcription.model : undefined;
}

/** The older models are billed by the second, the newer ones by the token. */
function transcriptUsage(model: string, bytes: number, text: string): JsonObject {
  if (model.startsWith('whisper')) return { type: 'duration', seconds: Math.ceil(bytes / 48_000) };
  const heard = audioTokens.heard(bytes);
  const said = countTokens(text.length);
  return {
    type: 'tokens',
    input_tokens: heard,
    output_tokens: said,
    total_tokens: heard + said,
    input_token_details: { text_tokens: 0, audio_tokens: heard },
  };
}
