import { html } from 'hono/html'
import type { Markup } from './answer.ts'

const absolute = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'short', timeZone: 'UTC' })
const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto' })

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** `5 minutes ago`, with the exact time for programs and under the pointer. Epoch milliseconds. */
export function ago(timestamp: number, now: number): Markup {
  return html`<time datetime="${new Date(timestamp).toISOString()}" title="${absoluteTime(timestamp)}">${relativeTime(timestamp - now)}</time>`
}

/** Epoch milliseconds as RFC 3339 in UTC. */
export function isoTime(timestamp: number | undefined): string | undefined {
  return timestamp === undefined ? undefined : new Date(timestamp).toISOString()
}

/** `23 Nov 2026, 09:15 UTC`. */
export function exactly(timestamp: number): Markup {
  return html`<time datetime="${new Date(timestamp).toISOString()}">${absoluteTime(timestamp)}</time>`
}

function absoluteTime(timestamp: number): string {
  return `${absolute.format(timestamp)} UTC`
}

/** @param distance milliseconds; negative: past */
export function relativeTime(distance: number): string {
  const size = Math.abs(distance)
  if (size < MINUTE) return distance > 0 ? 'in a moment' : 'just now'
  if (size < HOUR) return relative.format(Math.round(distance / MINUTE), 'minute')
  if (size < DAY) return relative.format(Math.round(distance / HOUR), 'hour')
  return relative.format(Math.round(distance / DAY), 'day')
}
