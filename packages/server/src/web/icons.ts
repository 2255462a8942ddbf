import { html } from 'hono/html'
import type { Markup } from './answer.ts'

/** The mark: an arch, and a person standing in it. */
export const markPaths =
  '<path d="M8.5 24.5V16a7.5 7.5 0 0 1 15 0v8.5"/><path d="M16 24.5v-4.2"/><circle cx="16" cy="16.6" r="1.9"/>'

/** The mark as a file of its own, for the browser's tab. */
export const markFile: string = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="9" fill="#0b6b57"/><g fill="none" stroke="#fff" stroke-width="2.4" stroke-linecap="round" stroke-linejoin="round">${markPaths}</g></svg>`

export function mark(): Markup {
  return html`<svg class="mark" viewBox="0 0 32 32" width="32" height="32" aria-hidden="true" focusable="false"><rect width="32" height="32" rx="9" /><g><path d="M8.5 24.5V16a7.5 7.5 0 0 1 15 0v8.5" /><path d="M16 24.5v-4.2" /><circle cx="16" cy="16.6" r="1.9" /></g></svg>`
}

/** The kind of thing that a device's name speaks of. */
export function deviceIcon(device: string): Markup {
  if (/iPhone|iPad|Android/.test(device))
    return icon(html`<rect x="7" y="2.5" width="10" height="19" rx="2.2" /><path d="M11 18.5h2" />`)
  if (/Windows|macOS|Linux|ChromeOS/.test(device)) {
    return icon(html`<rect x="4" y="4.5" width="16" height="11" rx="1.8" /><path d="M2 19.5h20" />`)
  }
  return icon(html`<rect x="3" y="4" width="18" height="16" rx="2" /><path d="m7 9 3 3-3 3" /><path d="M12.5 15H17" />`)
}

export function warningIcon(): Markup {
  return icon(html`<circle cx="12" cy="12" r="9" /><path d="M12 7.5v5.5" /><path d="M12 16.4v.1" />`)
}

export function doneIcon(): Markup {
  return icon(html`<circle cx="12" cy="12" r="9" /><path d="m8 12.4 2.7 2.7L16 9.6" />`)
}

/** A password. */
export function keyIcon(): Markup {
  return icon(
    html`<circle cx="8" cy="15.5" r="4.5" /><path d="m11.3 12.2 8.2-8.2" /><path d="m15.5 8 3 3" /><path d="m18.5 5 2 2" />`,
  )
}

/** Two accounts, joined. */
export function linkIcon(): Markup {
  return icon(
    html`<path d="M10 14a4.2 4.2 0 0 0 6 0l3.5-3.5a4.2 4.2 0 0 0-6-6L12 6" /><path d="M14 10a4.2 4.2 0 0 0-6 0l-3.5 3.5a4.2 4.2 0 0 0 6 6L12 18" />`,
  )
}

/** Beside words that say the same: a person who does not see it misses nothing. */
function icon(paths: Markup): Markup {
  return html`<svg class="icon" viewBox="0 0 24 24" width="24" height="24" aria-hidden="true" focusable="false">${paths}</svg>`
}
