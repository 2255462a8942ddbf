import { assets } from '../pages/assets.ts'
import type { Route } from '../router.ts'

/** The stylesheet and the mark. Their addresses change with their content, so a browser may keep them for good. */
export function assetRoutes(): Route[] {
  return assets.map(({ path, type, text }) => ({
    method: 'GET',
    path,
    answer: () =>
      new Response(text, {
        headers: {
          'Content-Type': type,
          'Cache-Control': 'public, max-age=31536000, immutable',
          Vary: 'Accept-Encoding',
        },
      }),
  }))
}
