/** Load of streamed calls: many streams at once over plain sockets, counted as they come in. */
import { httpBytes, type Sent } from './asks.ts';
import type { Contender } from './contenders.ts';
import { becomeIdle, cpuBetween, readCpu, readRssMb } from './processes.ts';
import { chunkMark } from './voices.ts';

export interface StreamLoad extends Sent {
  streams: number;
  /** Chunks of text the upstream sends on each. */
  chunks: number;
  /** Stands at the end of every complete answer. */
  lastWord: string;
}

export interface StreamSample {
  /** Of the whole stream, its opening and its end included, divided by its chunks. */
  cpuMicrosPerChunk: number;
  /** Chunks of text for each read of the client's: 1 when every chunk travelled by itself. */
  chunksPerRead: number;
}

/** What one stream has brought. */
interface Seen {
  chunks: number;
  reads: number;
  /** The last word has come. */
  complete: boolean;
}

/** How a chunked body ends, and what stands between two of its chunks (RFC 9112, section 7.1). */
const end = Buffer.from('0\r\n\r\n');
const framing = /\r\n[0-9a-f]+\r\n/gi;
const maxMs = 30_000;

/** @throws Error when a stream breaks off, or does not bring every chunk and its last word. */
export async function measureStreams(contender: Contender, load: StreamLoad): Promise<StreamSample> {
  const before = readCpu(contender.pids);
  const open = Array.from({ length: load.streams }, () => openStream(contender, load));
  const all = await Promise.all(open.map((stream) => stream.done));
  await becomeIdle(contender.pids, 5000);
  const cpuMicros = cpuBetween(before, readCpu(contender.pids));
  const chunks = all.reduce((sum, seen) => sum + seen.chunks, 0);
  const reads = all.reduce((sum, seen) => sum + seen.reads, 0);
  const sent = load.streams * load.chunks;
  if (chunks !== sent) throw new Error(`${chunks} chunks came of ${sent}`);
  if (!all.every(({ complete }) => complete)) throw new Error('a stream ended without its last word');
  return { cpuMicrosPerChunk: cpuMicros / sent, chunksPerRead: chunks / reads };
}

/** @returns resident MB before and while so many streams are open and silent; all are ended then. */
export async function holdStreams(
  contender: Contender,
  load: StreamLoad,
  upstreamPort: number,
): Promise<{ beforeMb: number; heldMb: number }> {
  const beforeMb = readRssMb(contender.pids);
  const open: OpenStream[] = [];
  // Not all at the same moment: a listen queue is short.
  while (open.length < load.streams) {
    open.push(openStream(contender, load));
    if (open.length % 50 === 0) await Promise.all(open.slice(-50).map((stream) => stream.begun));
  }
  await Promise.all(open.map((stream) => stream.begun));
  await becomeIdle(contender.pids, 3000);
  const heldMb = readRssMb(contender.pids);
  await fetch(`http://127.0.0.1:${upstreamPort}/release`);
  await Promise.all(open.map((stream) => stream.done));
  return { beforeMb, heldMb };
}

interface OpenStream {
  /** Its first event is here. */
  begun: Promise<void>;
  done: Promise<Seen>;
}

function openStream(contender: Contender, load: StreamLoad): OpenStream {
  const begun = Promise.withResolvers<void>();
  const done = Promise.withResolvers<Seen>();
  const reads: Buffer[] = [];
  const fail = (why: string) => {
    clearTimeout(late);
    const said = Buffer.concat(reads).toString('latin1', 0, 1000);
    const error = new Error(`a stream ${why} after ${reads.length} reads; it began: ${said}`);
    begun.reject(error);
    done.reject(error);
  };
  const late = setTimeout(() => fail('stood still'), maxMs);
  // One promise of a broken stream may have nobody waiting for it.
  begun.promise.catch(() => {});
  done.promise.catch(() => {});
  void Bun.connect({
    hostname: '127.0.0.1',
    port: contender.port,
    socket: {
      open: (socket) => void socket.write(httpBytes(load, contender.port)),
      data(socket, bytes) {
        reads.push(Buffer.from(bytes));
        if (reads.length === 1 && !bytes.toString('latin1', 0, 12).endsWith(' 200')) {
          fail('was refused');
          socket.end();
          return;
        }
        if (bytes.includes('data: ')) begun.resolve();
        // The end may come in two pieces.
        if (!Buffer.concat(reads.slice(-2)).subarray(-end.length).equals(end)) return;
        clearTimeout(late);
        done.resolve(readAll(reads, load.lastWord));
        socket.end();
      },
      close: () => fail('broke off'),
      connectError: () => fail('found nobody'),
    },
  }).catch(() => fail('found nobody'));
  return { begun: begun.promise, done: done.promise };
}

function readAll(reads: Buffer[], lastWord: string): Seen {
  const text = Buffer.concat(reads).toString('latin1').replace(framing, '');
  return {
    chunks: text.split(chunkMark).length - 1,
    reads: reads.length,
    complete: text.includes(lastWord),
  };
}
