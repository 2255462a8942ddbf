import { createHash } from 'node:crypto'
import { markFile } from './icons.ts'
import { css } from './stylesheet.ts'

/** A file that pages refer to, under an address that changes with its content. */
export interface Asset {
  readonly path: string
  readonly type: string
  readonly text: string
}

export const stylesheet: Asset = asset('style', 'css', 'text/css; charset=utf-8', css)
export const mark: Asset = asset('mark', 'svg', 'image/svg+xml', markFile)
export const assets: readonly Asset[] = [stylesheet, mark]

function asset(name: string, extension: string, type: string, text: string): Asset {
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 12)
  return { path: `/assets/${name}.${hash}.${extension}`, type, text }
}
