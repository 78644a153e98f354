/** Comma-separated values: RFC 4180, safe to open in a spreadsheet. */

/**
 * One line. What clients named may begin like a formula, which spreadsheets would work out: such text gets an apostrophe
 * before it, as they take it for text then (https://owasp.org/www-community/attacks/CSV_Injection). Numbers stay.
 */
export function csvLine(cells: readonly (string | number | boolean | null)[]): string {
  return `${cells.map(cellOf).join(',')}\r\n`;
}

function cellOf(value: string | number | boolean | null): string {
  if (value === null) return '';
  const text = typeof value === 'string' ? harmless(value) : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function harmless(text: string): string {
  return /^[=+\-@\t\r\n|%]/.test(text) && !/^-?\d+(\.\d+)?$/.test(text) ? `'${text}` : text;
}
