/** The last moment that Expires can name. Applications that want a cookie to last for ever get this one. */
const latest = Date.UTC(9999, 11, 31, 23, 59, 59)

/** The date this many milliseconds after `now`, or the nearest one that Expires can name. */
export function dateAfter(milliseconds: number, now: number = Date.now()): Date {
  return new Date(Math.min(Math.max(now + milliseconds, 0), latest))
}

/** The date itself, or the nearest one that Expires can name. */
export function nearestDate(date: Date): Date {
  const time = date.getTime()
  return time >= 0 && time <= latest && date instanceof Date ? date : dateAfter(time, 0)
}
