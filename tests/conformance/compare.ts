/** What a client is to read through the gateway: what the vendor's own client reads in the recording itself. */
import type { Client } from './client.ts';
import { type Exception, exceptionFor, unreadable } from './exceptions.ts';
import type { Replayed, Stage } from './replayed.ts';
import type { Understood, UnderstoodChoice } from './understood.ts';

/** How a client's reading compares; `expected` takes the exception into account. */
export interface Comparison {
  heard: Understood | Error;
  expected: Understood | 'throws';
  exception: Exception | undefined;
  /** The exception makes a difference. */
  needed: boolean;
}

export class Comparer {
  /** What the vendors' own clients read, asked once. */
  private readonly readings = new Map<Replayed, Promise<Understood>>();

  constructor(
    private readonly stage: Stage,
    /** All traffic is written anew, also that of the provider's own dialect. */
    private readonly translated: boolean,
  ) {}

  witness(each: Replayed): Promise<Understood> {
    let reading = this.readings.get(each);
    if (reading === undefined) {
      reading = this.stage.witness(each)({ model: each.upstream, stream: each.streamed, tools: [] });
      this.readings.set(each, reading);
    }
    return reading;
  }

  async compare(client: Client, each: Replayed): Promise<Comparison> {
    const said = unreadable.find(({ file }) => file.test(each.file))?.said ?? (await this.witness(each));
    const names = said.choices.flatMap(({ calls }) => calls.map(({ name }) => name));
    const tools = client.textOnly ? [] : [...new Set(names)];
    const relayed = client.dialect === each.dialect && !this.translated;
    const exception = exceptionFor(each, client, relayed);
    const heard = await client.ask({ model: each.model, stream: each.streamed, tools }).then(
      ({ choices, usage }): Understood => ({ choices: choices.slice(0, said.choices.length), usage }),
      (thrown: Error) => thrown,
    );
    const usual = fitTo(client, said);
    const needed = exception !== undefined && !Bun.deepEquals(heard, usual);
    if (exception === undefined) return { heard, expected: usual, exception, needed };
    const { reading } = exception;
    const expected = reading === 'throws' ? reading : fitTo(client, withException(said, reading));
    return { heard, expected, exception, needed };
  }
}

/** As much of an answer as `client` has room for. */
function fitTo({ choices, textOnly, thoughtless }: Client, said: Understood): Understood {
  const fit = (choice: UnderstoodChoice): UnderstoodChoice => ({
    ...choice,
    ...(thoughtless && { thought: '' }),
    ...(textOnly && { calls: [], stop: choice.stop === 'calls' ? 'stop' : choice.stop }),
  });
  return { ...said, choices: said.choices.slice(0, choices).map(fit) };
}

function withException(
  { choices, usage }: Understood,
  reading: Exclude<Exception['reading'], 'throws'>,
): Understood {
  return {
    choices: choices.map((choice, i) => (i === 0 ? { ...choice, ...reading.choice } : choice)),
    usage: { ...usage, ...reading.usage },
  };
}

export function isAsExpected({ heard, expected }: Comparison): boolean {
  return expected === 'throws' ? heard instanceof Error : Bun.deepEquals(heard, expected);
}
