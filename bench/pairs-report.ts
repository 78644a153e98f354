/** Figures of pairs as matrices: providers down, clients across; plain text for the terminal, Markdown to be kept. */
import { type ClientName, clientNames, type ProviderDialect, providerDialects } from './asks.ts';
import type { Pair, PairFigure } from './pairs.ts';
import { amount, type Circumstances, describe, markdownTable, ratio, textTable } from './report.ts';

export interface PairReport extends Circumstances {
  pairs: PairFigure[];
}

/** One figure of every pair, and what it is to stay below. */
interface Matrix {
  title: string;
  target: number;
  unit: string;
  read(figure: PairFigure): number | undefined;
  format(value: number | undefined): string;
  /** Columns beside those of the clients. */
  beside: { title: string; read(figure: PairFigure): number | undefined }[];
}

const matrices: readonly Matrix[] = [
  {
    title: 'CPU of a whole call ÷ that of nginx relaying the same answer, 64 connections',
    target: 5,
    unit: '× nginx',
    read: ({ timesNginx }) => timesNginx,
    format: (value) => ratio(value, 1),
    beside: [{ title: 'nginx (µs)', read: ({ nginxMicros }) => nginxMicros }],
  },
  {
    title: 'CPU of a streamed chunk, as fast as they come (µs)',
    target: 8,
    unit: 'µs',
    read: ({ chunkMicros }) => chunkMicros,
    format: amount,
    beside: [],
  },
];

export function formatPairsText(report: PairReport): string {
  return [
    describe(report),
    ...matrices.flatMap((matrix) => ['', caption(matrix, report), ...textTable(...tableOf(matrix, report))]),
    ...report.notes.map((note) => `\n* ${note}`),
  ].join('\n');
}

export function formatPairsMarkdown(report: PairReport): string {
  return [
    describe(report),
    ...matrices.flatMap((matrix) => [
      '',
      caption(matrix, report),
      '',
      ...markdownTable(...tableOf(matrix, report)),
    ]),
    ...report.notes.map((note) => `\n${note}`),
    '',
  ].join('\n');
}

function caption({ title, target, unit, read }: Matrix, { pairs }: PairReport): string {
  const known = pairs.map(read).filter((value) => value !== undefined);
  const met = known.filter((value) => value <= target).length;
  return `${title}; target ≤ ${target} ${unit}: met by ${met} of ${pairs.length}.`;
}

/** Providers and clients that were measured, and the number of columns that end with the last one of numbers. */
function tableOf(matrix: Matrix, { pairs }: PairReport): [rows: string[][], numbers: number] {
  const clients = clientNames.filter((name) => pairs.some(({ client }) => client === name));
  const providers = providerDialects.filter((name) => pairs.some(({ provider }) => provider === name));
  const find = (client: ClientName, provider: ProviderDialect) =>
    pairs.find((pair: Pair) => pair.client === client && pair.provider === provider);
  const rows = providers.map((provider) => {
    const figures = clients.map((client) => find(client, provider));
    const some = figures.find((figure) => figure !== undefined)!;
    return [
      provider,
      ...figures.map((figure) => (figure === undefined ? '' : cell(matrix, figure))),
      ...matrix.beside.map(({ read }) => amount(read(some))),
    ];
  });
  const head = ['provider ↓ client →', ...clients, ...matrix.beside.map(({ title }) => title)];
  return [[head, ...rows], head.length];
}

function cell({ read, format, target }: Matrix, figure: PairFigure): string {
  const value = read(figure);
  return value !== undefined && value > target ? `missed ${format(value)}` : format(value);
}
