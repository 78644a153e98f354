/** Answers the gateway keeps, for clients that go on from one by its id where the provider keeps none itself. */

export interface KeptAnswer {
  id: string;
  /** Whose it is; nobody else finds it. */
  owner: string;
  /** Id of the answer it went on from, if that was kept too. */
  previous: string | undefined;
  /** Milliseconds since 1970. */
  createdAt: number;
  /** Bodies as the client sent and received them, JSON. */
  request: string;
  response: string;
}

/** Where answers are kept. All reject with the store's error. */
export interface Answers {
  keep(answer: KeptAnswer): Promise<void>;
  /** Undefined: there is none of this id, or it is somebody else's. */
  find(owner: string, id: string): Promise<KeptAnswer | undefined>;
  /** @returns false when there was none. */
  remove(owner: string, id: string): Promise<boolean>;
  close(): Promise<void>;
}

const prefix = 'resp_sluice';

/** The id under which the gateway keeps the answer to a call. */
export function answerIdOf(call: string): string {
  return prefix + call;
}

/** Whether an id is of the gateway's own making, so that no provider knows it. */
export function isAnswerId(id: string): boolean {
  return id.startsWith(prefix);
}
