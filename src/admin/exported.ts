/** Rows as files: CSV for spreadsheets or JSON lines, sent as they are read. */
import type { Context } from 'hono';
import { csvLine } from '../core/csv.ts';

export const exportFormats = ['csv', 'jsonl'] as const;

type Cell = string | number | boolean | null;
export type ExportRow = Readonly<Record<string, Cell>>;

/**
 * @param next the rows that come next; none: that was all. It is not asked before the client has taken those before.
 * @throws what `next` throws at first; later on the file breaks off.
 */
export async function exported(
  c: Context,
  format: (typeof exportFormats)[number],
  name: string,
  columns: readonly string[],
  next: () => Promise<readonly ExportRow[]>,
): Promise<Response> {
  const line =
    format === 'csv'
      ? (row: ExportRow) => csvLine(columns.map((column) => row[column] ?? null))
      : (row: ExportRow) => `${JSON.stringify(row)}\n`;
  const encoder = new TextEncoder();
  let rows = await next();
  let title = format === 'csv' ? csvLine(columns) : '';
  const stream = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const text = title + rows.map(line).join('');
      title = '';
      if (text !== '') controller.enqueue(encoder.encode(text));
      if (rows.length === 0) controller.close();
      else rows = await next();
    },
  });
  c.header('content-type', format === 'csv' ? 'text/csv; charset=utf-8' : 'application/jsonl; charset=utf-8');
  c.header('content-disposition', `attachment; filename="${name}.${format}"`);
  return c.body(stream);
}
