import { type Asset, assets } from '../pages/assets.ts'
import type { Route } from '../router.ts'

/** The stylesheet and the mark. Their addresses change with their content, so a browser may keep them for good. */
export function assetRoutes(): Route[] {
  return assets.map((asset) => ({ method: 'GET', path: asset.path, answer: () => answerOf(asset) }))
}

/** The same for a page that is shown before there are routes. */
export function assetAt(path: string | undefined): Response | undefined {
  const asset = assets.find((one) => one.path === path)
  return asset && answerOf(asset)
}

function answerOf({ type, text }: Asset): Response {
  return new Response(text, {
    headers: {
      'Content-Type': type,
      'Cache-Control': 'public, max-age=31536000, immutable',
      Vary: 'Accept-Encoding',
    },
  })
}
