import { createHash } from 'node:crypto'
import { html, raw } from 'hono/html'
import type { Markup } from './answer.ts'
import { css } from './stylesheet.ts'

/** The mark: an arch, and a person who stands in it. */
const markPaths =
  '<path d="M8.5 24.5V16a7.5 7.5 0 0 1 15 0v8.5"/><path d="M16 24.5v-4.2"/><circle cx="16" cy="16.6" r="1.9"/>'

export const mark: Markup = html`<svg class="mark" viewBox="0 0 32 32" width="32" height="32" aria-hidden="true" focusable="false"><rect width="32" height="32" rx="9"/><g>${raw(markPaths)}</g></svg>`

const markFile = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="9" fill="#0b6b57"/><g fill="none" stroke="#fff" stroke-width="2.4" stroke-linecap="round" stroke-linejoin="round">${markPaths}</g></svg>`

/** An icon stands beside words that say the same, so screen readers skip it. */
function icon(paths: Markup): Markup {
  return html`<svg class="icon" viewBox="0 0 24 24" width="24" height="24" aria-hidden="true" focusable="false">${paths}</svg>`
}

const phone = icon(html`<rect x="7" y="2.5" width="10" height="19" rx="2.2"/><path d="M11 18.5h2"/>`)
const computer = icon(html`<rect x="4" y="4.5" width="16" height="11" rx="1.8"/><path d="M2 19.5h20"/>`)
const terminal = icon(
  html`<rect x="3" y="4" width="18" height="16" rx="2"/><path d="m7 9 3 3-3 3"/><path d="M12.5 15H17"/>`,
)

/** The icon for a device with this name. */
export function deviceIcon(device: string): Markup {
  if (/iPhone|iPad|Android/.test(device)) return phone
  return /Windows|macOS|Linux|ChromeOS/.test(device) ? computer : terminal
}

export const warningIcon: Markup = icon(
  html`<circle cx="12" cy="12" r="9"/><path d="M12 7.5v5.5"/><path d="M12 16.4v.1"/>`,
)
export const doneIcon: Markup = icon(html`<circle cx="12" cy="12" r="9"/><path d="m8 12.4 2.7 2.7L16 9.6"/>`)
export const keyIcon: Markup = icon(
  html`<circle cx="8" cy="15.5" r="4.5"/><path d="m11.3 12.2 8.2-8.2"/><path d="m15.5 8 3 3"/><path d="m18.5 5 2 2"/>`,
)
export const linkIcon: Markup = icon(
  html`<path d="M10 14a4.2 4.2 0 0 0 6 0l3.5-3.5a4.2 4.2 0 0 0-6-6L12 6"/><path d="M14 10a4.2 4.2 0 0 0-6 0l-3.5 3.5a4.2 4.2 0 0 0 6 6L12 18"/>`,
)

/** A file that pages refer to. Its path contains a hash of the text, so a browser may keep it forever. */
interface Asset {
  readonly path: string
  readonly type: string
  readonly text: string
}

export const stylesheet: Asset = asset('style', 'css', 'text/css; charset=utf-8', css)
export const tabIcon: Asset = asset('mark', 'svg', 'image/svg+xml', markFile)

export const assets: readonly Asset[] = [stylesheet, tabIcon]

export function assetResponse({ type, text }: Asset): Response {
  return new Response(text, {
    headers: {
      'Content-Type': type,
      'Cache-Control': 'public, max-age=31536000, immutable',
      Vary: 'Accept-Encoding',
    },
  })
}

function asset(name: string, extension: string, type: string, text: string): Asset {
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 12)
  return { path: `/assets/${name}.${hash}.${extension}`, type, text }
}
