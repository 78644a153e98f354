/**
 * State that only one vendor understands (signatures of thoughts, encrypted reasoning), remembered for clients whose
 * dialect has no place to hand it back in: by the id of the tool call it belongs to.
 */
import type {
  Block,
  ChatEvent,
  ChatRequest,
  DialectName,
  ReasoningBlock,
  ToolCallBlock,
} from '../core/chat.ts';

interface Remembered {
  /** What was thought before the call, with the vendor's state. */
  reasoning: readonly ReasoningBlock[];
  state: ToolCallBlock['state'];
  chars: number;
}

/** What is remembered at most; then the oldest goes. A conversation that lost its state goes on without. */
const maxEntries = 20_000;
const maxChars = 64 * 1024 * 1024;
/** State larger than this is no signature. */
const maxStateChars = 2 * 1024 * 1024;

export class VendorMemory {
  /** By owner and call id, the oldest first. */
  private readonly entries = new Map<string, Remembered>();
  private chars = 0;

  /** @param owner whose conversation it is: nobody else's calls find it. */
  remember(owner: string, blocks: readonly Block[]): void {
    const reasoning: ReasoningBlock[] = [];
    for (const block of blocks) {
      if (block.type === 'reasoning' && hasState(block)) reasoning.push(block);
      else if (block.type === 'tool-call' && (reasoning.length > 0 || block.state !== undefined)) {
        this.put(`${owner}\n${block.id}`, { reasoning: [...reasoning], state: block.state, chars: 0 });
      }
    }
  }

  /** The request with what its assistant turns have lost on their way, as far as `vendor` understands it. */
  recall(owner: string, request: ChatRequest, vendor: DialectName): ChatRequest {
    if (this.entries.size === 0) return request;
    let changed = false;
    const messages = request.messages.map((message) => {
      if (message.role !== 'assistant') return message;
      const blocks = this.restore(owner, message.blocks, vendor);
      if (blocks !== message.blocks) changed = true;
      return blocks === message.blocks ? message : { ...message, blocks };
    });
    return changed ? { ...request, messages } : request;
  }

  private restore(owner: string, blocks: Block[], vendor: DialectName): Block[] {
    const reasoned = blocks.some((block) => block.type === 'reasoning' && block.vendor === vendor);
    let before: readonly ReasoningBlock[] | undefined;
    let changed = false;
    const restored = blocks.map((block): Block => {
      if (block.type !== 'tool-call') return block;
      const found = this.entries.get(`${owner}\n${block.id}`);
      before ??= found?.reasoning.filter((each) => each.vendor === vendor);
      if (block.state !== undefined || found?.state?.vendor !== vendor) return block;
      changed = true;
      return { ...block, state: found.state };
    });
    if (reasoned || before === undefined || before.length === 0) return changed ? restored : blocks;
    // What the client shows of the same thoughts is not said twice.
    return [
      ...before,
      ...restored.filter((block) => block.type !== 'reasoning' || block.vendor !== undefined),
    ];
  }

  private put(name: string, entry: Remembered): void {
    entry.chars = name.length + (entry.state?.value.length ?? 0);
    for (const { text, signature = '', redacted = '' } of entry.reasoning)
      entry.chars += text.length + signature.length + redacted.length;
    if (entry.chars > maxStateChars) return;
    this.drop(name);
    this.entries.set(name, entry);
    this.chars += entry.chars;
    for (const oldest of this.entries.keys()) {
      if (this.entries.size <= maxEntries && this.chars <= maxChars) return;
      this.drop(oldest);
    }
  }

  private drop(name: string): void {
    const entry = this.entries.get(name);
    if (entry === undefined) return;
    this.entries.delete(name);
    this.chars -= entry.chars;
  }
}

function hasState({ vendor, signature, redacted }: ReasoningBlock): boolean {
  return vendor !== undefined && (signature !== undefined || redacted !== undefined);
}

/** Gathers from a stream's events the blocks that are worth remembering: reasoning and tool calls. */
export class StateCollector {
  private readonly blocks = new Map<string, Block>();

  push(event: ChatEvent): void {
    if (event.type === 'block') {
      if (event.value.type === 'reasoning' || event.value.type === 'tool-call') {
        this.blocks.set(`${event.choice}:${event.block}`, { ...event.value });
      }
    } else if (event.type === 'delta') this.add(event);
  }

  /** Those of one choice, in order. */
  of(choice: number): Block[] {
    const prefix = `${choice}:`;
    return [...this.blocks].filter(([place]) => place.startsWith(prefix)).map(([, block]) => block);
  }

  private add(delta: Extract<ChatEvent, { type: 'delta' }>): void {
    if (this.blocks.size === 0) return;
    const block = this.blocks.get(`${delta.choice}:${delta.block}`);
    if (block?.type === 'reasoning') {
      block.text += delta.text ?? '';
      if (delta.signature !== undefined) block.signature = (block.signature ?? '') + delta.signature;
      if (delta.redacted !== undefined) block.redacted = delta.redacted;
    } else if (block?.type === 'tool-call' && delta.state !== undefined) block.state = delta.state;
  }
}
