import { describe, expect, test } from 'vitest'
import { packedPage } from './pack-documents.ts'

const kept = new Set(['README.md', 'docs/stores.md', 'docs/guides/hono.md'])
const packed = (text: string, path: string) => packedPage(text, path, kept, 'https://repository.example')

describe('a page in a package', () => {
  test.each([
    ['README.md', '[a](docs/stores.md), [b](docs/stores.md#redis)'],
    ['docs/guides/hono.md', '[a](../stores.md), [b](#there), [c](https://other.example/x)'],
  ])('of %s keeps links to what comes with it, and to other sites', (path, text) => {
    expect(packed(text, path)).toBe(text)
  })

  test.each([
    ['README.md', '[a](ARCHITECTURE.md)', 'ARCHITECTURE.md'],
    ['README.md', '[a](packages/server/README.md#run)', 'packages/server/README.md#run'],
    ['docs/guides/hono.md', '[a](../../STYLE.md)', 'STYLE.md'],
  ])('of %s leads %s to the repository', (path, text, target) => {
    expect(packed(text, path)).toBe(`[a](https://repository.example/blob/main/${target})`)
  })
})
