/** When windows of the calendar begin and end, in whichever time zone. */
import type { Window } from '../config/window.ts';

const lengthsMs = { second: 1000, minute: 60_000, hour: 3_600_000, day: 86_400_000, week: 7 * 86_400_000 };
/** 1970 began on a Thursday. */
const firstMondayMs = 4 * 86_400_000;

/** When the window begins in which `nowMs` falls: of a sliding one, when what still counts of it began. */
export function windowStartMs(window: Window, nowMs: number): number {
  if (window.per === 'lifetime') return -Infinity;
  if (window.sliding) return nowMs - slidingLengthMs(window);
  if (window.timeZone === 'UTC') return startInUtc(window.per, nowMs);
  return window.per === 'hour' ? hourIn(window, nowMs) : startIn(window, nowMs).epochMilliseconds;
}

/** When it ends: Infinity where it does not, as a sliding one or a lifetime, or where there is none. */
export function windowEndMs(window: Window | undefined, nowMs: number): number {
  if (window === undefined || window.sliding || window.per === 'lifetime') return Infinity;
  const { per, timeZone } = window;
  if (timeZone !== 'UTC') return endIn(window, nowMs);
  if (per !== 'month') return startInUtc(per, nowMs) + lengthsMs[per];
  const now = new Date(nowMs);
  return Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1);
}

/** A sliding month is one of 30 days. */
export function slidingLengthMs({ per }: Window): number {
  if (per === 'lifetime') return Infinity;
  return per === 'month' ? 30 * lengthsMs.day : lengthsMs[per];
}

type Calendar = Exclude<Window['per'], 'lifetime'>;

function startInUtc(per: Calendar, nowMs: number): number {
  if (per === 'month') {
    const now = new Date(nowMs);
    return Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), 1);
  }
  const first = per === 'week' ? firstMondayMs : 0;
  return first + Math.floor((nowMs - first) / lengthsMs[per]) * lengthsMs[per];
}

/** Days begin when the clocks of the zone say so: some have 23 hours, some 25, and some begin at one o'clock. */
function startIn({ per, timeZone }: Window, nowMs: number): Temporal.ZonedDateTime {
  const now = Temporal.Instant.fromEpochMilliseconds(nowMs).toZonedDateTimeISO(timeZone);
  switch (per) {
    case 'week':
      return now
        .startOfDay()
        .subtract({ days: now.dayOfWeek - 1 })
        .startOfDay();
    case 'month':
      return now.with({ day: 1 }).startOfDay();
    default:
      return now.startOfDay();
  }
}

/** By the offset that holds now: some zones shift their clocks by half an hour. */
function hourIn({ timeZone }: Window, nowMs: number): number {
  const now = Temporal.Instant.fromEpochMilliseconds(nowMs).toZonedDateTimeISO(timeZone);
  const offsetMs = now.offsetNanoseconds / 1e6;
  return startInUtc('hour', nowMs + offsetMs) - offsetMs;
}

function endIn(window: Window, nowMs: number): number {
  if (window.per === 'hour') return hourIn(window, nowMs) + lengthsMs.hour;
  const start = startIn(window, nowMs);
  const next = start.add(
    window.per === 'day' ? { days: 1 } : window.per === 'week' ? { weeks: 1 } : { months: 1 },
  );
  return next.startOfDay().epochMilliseconds;
}
