/**
 * The provider of the benchmark of faults: `bun bench/faulty-upstream.ts PORT`. Calls of the model `steady` are
 * answered; of each `flaky-NAME`, every fourth fails, in one of five ways. It notes how long after a failure the same call (it
 * has `call-NUMBER` in it) comes back to another target; `GET /figures` tells, and begins anew.
 */
import type { Socket } from 'bun';

const everyNth = 4;
/** Time-outs keep a connection busy for long, so there are few of them. */
const ways = [
  ...Array<'refused'>(6).fill('refused'),
  ...Array<'reset'>(5).fill('reset'),
  ...Array<'cut'>(5).fill('cut'),
  ...Array<'limited'>(3).fill('limited'),
  'stalled',
] as const;
type FaultWay = (typeof ways)[number];

const chunk = (delta: object, finish: string | null = null): string =>
  `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
const opening = chunk({ role: 'assistant', content: '' });
const usage = { prompt_tokens: 9, completion_tokens: 12, total_tokens: 21 };
const streamed = `${opening}${'word '
  .repeat(10)
  .trim()
  .split(' ')
  .map((text) => chunk({ content: `${text} ` }))
  .join('')}${chunk({}, 'stop')}data: [DONE]\n\n`;
const message = { role: 'assistant', content: 'word '.repeat(10) };
const choices = [{ index: 0, message, finish_reason: 'stop' }];
const whole = JSON.stringify({ id: 'c', object: 'chat.completion', created: 1, model: 'm', choices, usage });

function answer(status: string, type: string, body: string, length = body.length): string {
  return `HTTP/1.1 ${status}\r\ncontent-type: ${type}\r\ncontent-length: ${length}\r\n\r\n${body}`;
}

const fine = {
  stream: answer('200 OK', 'text/event-stream', streamed),
  whole: answer('200 OK', 'application/json', whole),
};
const cut = {
  stream: answer('200 OK', 'text/event-stream', opening, streamed.length),
  whole: answer('200 OK', 'application/json', whole.slice(0, 60), whole.length),
};
const complaint = '{"error":{"message":"Not now.","type":"server_error","code":null,"param":null}}';
const refused = answer('503 Service Unavailable', 'application/json', complaint);
const limited = refused.replace('503 Service Unavailable\r\n', '429 Too Many Requests\r\nretry-after: 1\r\n');

const counted = { calls: 0, failed: 0 };
/** Calls of each flaky model. */
const asked = new Map<string, number>();
let gapsMs: number[] = [];
/** When each call failed that has not come back. */
const failedMs = new Map<string, number>();

function serve(socket: Socket<{ heard: string }>, body: string): void {
  counted.calls++;
  const stream = body.includes('"stream":true');
  const call = /call-\d+/.exec(body)?.[0] ?? '';
  const since = failedMs.get(call);
  if (since !== undefined) gapsMs.push(performance.now() - since);
  failedMs.delete(call);
  const model = /flaky-\w+/.exec(body)?.[0];
  const number = model === undefined ? 0 : (asked.get(model) ?? 0) + 1;
  if (model !== undefined) asked.set(model, number);
  if (model === undefined || number % everyNth !== 0) {
    socket.write(stream ? fine.stream : fine.whole);
    return;
  }
  const way = ways[counted.failed++ % ways.length]!;
  fail(socket, way, stream);
  if (way !== 'stalled') failedMs.set(call, performance.now());
}

function fail(socket: Socket<{ heard: string }>, way: FaultWay, stream: boolean): void {
  if (way === 'refused') socket.write(refused);
  else if (way === 'limited') socket.write(limited);
  else if (way === 'reset') socket.terminate();
  else if (way === 'cut') {
    socket.write(stream ? cut.stream : cut.whole);
    socket.end();
  }
}

function figures(): string {
  const told = JSON.stringify({ ...counted, gapsMs });
  Object.assign(counted, { calls: 0, failed: 0 });
  gapsMs = [];
  failedMs.clear();
  return told;
}

Bun.listen<{ heard: string }>({
  hostname: '127.0.0.1',
  port: Number(process.argv[2]),
  socket: {
    open(socket) {
      socket.data = { heard: '' };
    },
    data(socket, bytes) {
      const { data } = socket;
      data.heard += bytes.toString('latin1');
      for (;;) {
        const end = data.heard.indexOf('\r\n\r\n');
        const length = Number(/content-length: (\d+)/i.exec(data.heard)?.[1] ?? 0);
        if (end < 0 || data.heard.length < end + 4 + length) return;
        const body = data.heard.slice(end + 4, end + 4 + length);
        const figuresOnly = data.heard.startsWith('GET');
        data.heard = data.heard.slice(end + 4 + length);
        if (figuresOnly) socket.write(answer('200 OK', 'application/json', figures()));
        else serve(socket, body);
      }
    },
    error() {},
  },
});
