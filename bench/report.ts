/** The figures as tables: plain text for the terminal, Markdown for the README. */
import { type ContenderName, contenderNames } from './contenders.ts';

export interface Figure {
  name: string;
  unit: string;
  values: Partial<Record<ContenderName, number>>;
  target?: Target;
}

/** What Sluice is to reach; said beside the figure, never a failure. */
export interface Target {
  text: string;
  isMet(values: Figure['values']): boolean | undefined;
}

/** Where and how it was measured. */
export interface Circumstances {
  date: string;
  machine: string;
  versions: Partial<Record<ContenderName, string>>;
  runtime: string;
  command: string;
  /** Remarks: how something ran, what failed. */
  notes: string[];
}

export interface Report extends Circumstances {
  figures: Figure[];
}

/** At most so many times nginx and, where given, at most one so-manieth of Portkey. */
export function timesNginx(times: number, partOfPortkey?: number): Target {
  const also = partOfPortkey === undefined ? '' : `, ≤ 1/${partOfPortkey} Portkey`;
  return {
    text: `≤ ${times}× nginx${also}`,
    isMet({ nginx, sluice, portkey }) {
      if (nginx === undefined || sluice === undefined) return undefined;
      const beside =
        partOfPortkey === undefined || portkey === undefined || sluice * partOfPortkey <= portkey;
      return sluice <= nginx * times && beside;
    },
  };
}

export function atMost(value: number, unit: string): Target {
  return {
    text: `≤ ${value} ${unit}`,
    isMet: ({ sluice }) => (sluice === undefined ? undefined : sluice <= value),
  };
}

const titles: Record<ContenderName, string> = { nginx: 'nginx', sluice: 'Sluice', portkey: 'Portkey' };
const columns = [
  '',
  ...contenderNames.map((name) => titles[name]),
  'Sluice ÷ nginx',
  'Portkey ÷ Sluice',
  'target',
  '',
];

function cells({ name, unit, values, target }: Figure): string[] {
  const { nginx, sluice, portkey } = values;
  const met = target?.isMet(values);
  return [
    `${name} (${unit})`,
    ...contenderNames.map((contender) => amount(values[contender])),
    ratio(sluice, nginx),
    ratio(portkey, sluice),
    target?.text ?? '',
    met === undefined ? '' : met ? 'met' : 'missed',
  ];
}

export function amount(value: number | undefined): string {
  if (value === undefined) return '–';
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return value.toFixed(digits).replace(/\B(?=(\d{3})+$)/g, ',');
}

export function ratio(value: number | undefined, base: number | undefined): string {
  if (value === undefined || base === undefined || base === 0) return '–';
  return (value / base).toFixed(value / base >= 10 ? 0 : 1);
}

/** Columns of numbers are aligned to the right; the first column is none of them. */
const numbers = 1 + contenderNames.length + 2;

export function formatText(report: Report): string {
  const lines = textTable([columns, ...report.figures.map(cells)], numbers);
  return [describe(report), '', ...lines, ...report.notes.map((note) => `\n* ${note}`)].join('\n');
}

/** A section ready to be pasted: where and how it was measured, then the table. */
export function formatMarkdown(report: Report): string {
  const rows = markdownTable([columns, ...report.figures.map(cells)], numbers);
  const notes = report.notes.map((note) => `\n${note}`);
  return [`${describe(report)}`, '', ...rows, ...notes, ''].join('\n');
}

/** Lines of text, the columns under each other. @param numbers the first column that holds no numbers any more. */
export function textTable(rows: readonly string[][], numbers: number): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const lines = rows.map((row) =>
    row
      .map((cell, column) =>
        column > 0 && column < numbers ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!),
      )
      .join('  ')
      .trimEnd(),
  );
  lines.splice(1, 0, '─'.repeat(Math.max(...lines.map((line) => line.length))));
  return lines;
}

export function markdownTable([head = [], ...rows]: readonly string[][], numbers: number): string[] {
  const align = head.map((_, column) => (column > 0 && column < numbers ? '--:' : ':--'));
  return [head, align, ...rows].map((row) => `| ${row.join(' | ')} |`);
}

export function describe({ date, machine, versions, runtime, command }: Circumstances): string {
  const who = contenderNames
    .filter((name) => versions[name] !== undefined)
    .map((name) => `${titles[name]} ${versions[name]}`)
    .join(', ');
  return `\`${command}\` on ${date}: ${who}; ${runtime}; ${machine}.`;
}
