/** The thread behind questions.ts: a connection of its own, and the adding up. */
import { setPriority } from 'node:os';
import { type LaterStore, openLater } from './open.ts';
import { type FromQuestions, type Questions, questionsOn, type ToQuestions } from './questions.ts';

declare const self: Worker;

// Calls go first where there are not enough cores. On Linux it is this thread's alone, elsewhere the whole process's.
if (process.platform === 'linux') setPriority(19);

let store: LaterStore;
let questions: Questions;

self.onmessage = (event: MessageEvent<ToQuestions>) => {
  const message = event.data;
  if (message.type === 'open') {
    store = openLater(message.dataDir, message.url);
    questions = questionsOn(store.db);
    return;
  }
  const doing = message.type === 'close' ? store.close() : questions[message.name](message.query as never);
  doing.then(
    (answer: unknown) => post({ id: message.id, answer }),
    (error: Error & { code?: string }) => {
      const { name, message: text, code } = error;
      post({ id: message.id, error: { name, message: text, code } });
    },
  );
};

function post(message: FromQuestions): void {
  self.postMessage(message);
}
