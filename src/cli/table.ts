/** Tables for terminals and spreadsheets. */
import { csvLine } from '../core/csv.ts';

export interface Column {
  title: string;
  align: 'left' | 'right';
}

/** Columns padded to their widest cell, two spaces apart, titles first; `total` is set off by a rule. */
export function formatTable(columns: Column[], rows: string[][], total?: string[]): string {
  const titles = columns.map((column) => column.title);
  const shown = [titles, ...rows, ...(total === undefined ? [] : [total])].map((row) => row.map(printable));
  const widths = columns.map((_, i) => Math.max(...shown.map((row) => row[i]!.length)));
  const line = (row: string[]) =>
    row
      .map((cell, i) => (columns[i]!.align === 'left' ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
      .join('  ')
      .trimEnd();
  const lines = shown.map(line);
  const rule = widths.map((width) => '─'.repeat(width)).join('──');
  lines.splice(1, 0, rule);
  if (total !== undefined) lines.splice(-1, 0, rule);
  return `${lines.join('\n')}\n`;
}

/** Names come from clients: a terminal must not take them for commands. */
function printable(cell: string): string {
  return cell.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\u{fffd}');
}

/** With a title line. */
export function formatCsv(titles: string[], rows: string[][]): string {
  return [titles, ...rows].map(csvLine).join('');
}

/** Pads decimal numbers so that their points stand below each other when right-aligned. */
export function alignPoints(numbers: readonly string[]): string[] {
  const fractions = numbers.map((number) => (number.includes('.') ? number.length - number.indexOf('.') : 0));
  const widest = Math.max(0, ...fractions);
  return numbers.map((number, i) => number + ' '.repeat(widest - fractions[i]!));
}
