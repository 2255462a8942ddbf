import { createHash } from 'node:crypto'
import { markFile } from './icons.ts'
import type { Route } from './router.ts'
import { css } from './stylesheet.ts'

/** A file that pages refer to, under an address that changes with its content. */
interface Asset {
  readonly path: string
  readonly type: string
  readonly text: string
}

export const stylesheet: Asset = asset('style', 'css', 'text/css; charset=utf-8', css)
export const mark: Asset = asset('mark', 'svg', 'image/svg+xml', markFile)
const assets: readonly Asset[] = [stylesheet, mark]

export function assetRoutes(): Route[] {
  return assets.map((asset) => ({ method: 'GET', path: asset.path, answer: () => answerOf(asset) }))
}

/** The same for a page that is shown before there are routes. */
export function assetAt(path: string | undefined): Response | undefined {
  const asset = assets.find((one) => one.path === path)
  return asset && answerOf(asset)
}

/** The address changes with the content, so a browser may keep it for good. */
function answerOf({ type, text }: Asset): Response {
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
