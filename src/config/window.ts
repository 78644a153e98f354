/** Windows of limits, each of which exists once: the same window is the same object, and has a name to count under. */
import type { Period } from '../core/limit.ts';

export interface Window {
  /** `day`, `month@Europe/Berlin`, `minute~` (sliding): the same for the same window. */
  readonly name: string;
  readonly per: Period;
  /** The last minute, day and so on at any moment, instead of the calendar's. */
  readonly sliding: boolean;
  /** IANA name of the time zone of the calendar; `UTC` where the window has no calendar. */
  readonly timeZone: string;
}

/** There are as many as periods and time zones at most. */
const windows = new Map<string, Window>();

/** @param timeZone as `findTimeZone` writes it. */
export function windowOf(per: Period, sliding = false, timeZone = 'UTC'): Window {
  // The seconds and minutes of every zone begin at the same moments; what slides or does not end has no calendar.
  const plain = sliding || per === 'lifetime' || per === 'second' || per === 'minute';
  const zone = plain ? 'UTC' : timeZone;
  const name = `${per}${sliding && per !== 'lifetime' ? '~' : ''}${zone === 'UTC' ? '' : `@${zone}`}`;
  let window = windows.get(name);
  if (window === undefined) {
    window = Object.freeze({ name, per, sliding: sliding && per !== 'lifetime', timeZone: zone });
    windows.set(name, window);
  }
  return window;
}

/** All that any limit has had since the start. */
export function knownWindows(): Window[] {
  return [...windows.values()];
}

const midnight1970 = Temporal.Instant.fromEpochMilliseconds(0);

/** The name of a time zone as it is usually written; undefined: there is none of that name. */
export function findTimeZone(name: string): string | undefined {
  // What is an offset only knows no summer.
  if (!/^[A-Za-z]/.test(name)) return undefined;
  try {
    const zone = midnight1970.toZonedDateTimeISO(name).timeZoneId;
    return zone.toUpperCase() === 'UTC' ? 'UTC' : zone;
  } catch {
    return undefined;
  }
}
