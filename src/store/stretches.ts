/** Which roll-ups a time is summed from: those by day, of which there are few, as far as they go. */

/** A stretch of time as one of the tables has it: from a row's time to another's, which is not within. */
export interface Stretch {
  table: 'rollups' | 'days';
  time: 'hour' | 'day';
  from: number;
  to: number | undefined;
}

/**
 * Whole days from the sums by day, which are few, and what is left of the first and the last from those by hour.
 * @param since hours since 1970, as `until`, which is not within; undefined: no end.
 */
export function stretchesOf(since: number, until: number | undefined, byHour = false): Stretch[] {
  const hours = (from: number, to: number | undefined): Stretch => ({
    table: 'rollups',
    time: 'hour',
    from,
    to,
  });
  const firstDay = Math.ceil(since / 24);
  const lastDay = until === undefined ? undefined : Math.floor(until / 24);
  if (byHour || (lastDay !== undefined && lastDay <= firstDay)) return [hours(since, until)];
  const parts: Stretch[] = [{ table: 'days', time: 'day', from: firstDay, to: lastDay }];
  if (since < firstDay * 24) parts.unshift(hours(since, firstDay * 24));
  if (lastDay !== undefined && until! > lastDay * 24) parts.push(hours(lastDay * 24, until));
  return parts;
}
