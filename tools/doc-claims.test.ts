import { describe, expect, test } from 'vitest'
import { docstringFaults, errorFaults, linkFaults, mentionFaults, testFaults } from './doc-claims.ts'
import type { Fault } from './project.ts'

const page = (text: string): ReadonlyMap<string, string> => new Map([['docs/page.md', text]])
const places = (faults: readonly Fault[]): string[] => faults.map(({ path, line }) => `${path}:${line}`)
const messages = (faults: readonly Fault[]): string[] => faults.map(({ message }) => message)

describe('links', () => {
  const files = new Map([
    [
      'docs/a.md',
      '# The first part\n[b](b.md) [c](b.md#two-words) [root](../LICENSE) [web](https://example.com) [top](#the-first-part)',
    ],
    ['docs/b.md', '## Two words'],
  ])
  const exists = (path: string): boolean => path === 'LICENSE'

  test('links that lead somewhere are accepted', () => {
    expect(linkFaults(files, exists)).toEqual([])
  })

  test('links that lead nowhere are refused', () => {
    const broken = '\n[a](missing.md)\n[b](b.md#three-words)\n<img src="picture.svg">\n`[not](a-link.md)`\n'
    const faults = linkFaults(new Map([...files, ['docs/c.md', broken]]), exists)
    expect(places(faults)).toEqual(['docs/c.md:2', 'docs/c.md:3', 'docs/c.md:4'])
  })
})

test('a source file, or a name in it, that a page mentions and that does not exist is refused', () => {
  const text =
    '`session/commit.ts` `session/commit.ts:save()` `tools/run.ts`\n`session/gone.ts`\n`session/commit.ts:lost()`'
  const files = new Map([
    ...page(text),
    ['packages/gatepass/src/session/commit.ts', 'export function save() {}'],
    ['tools/run.ts', ''],
  ])
  expect(places(mentionFaults(files))).toEqual(['docs/page.md:2', 'docs/page.md:3'])
})

describe('errors', () => {
  const union = "export type ErrorCode =\n  | 'ERR_ONE'\n  | 'ERR_TWO'\n"
  const files = (entries: string, source: string): ReadonlyMap<string, string> =>
    new Map([
      ['packages/gatepass/src/error.ts', union],
      ['packages/gatepass/src/a.ts', source],
      ['docs/errors.md', entries],
    ])

  test('codes that are thrown and have an entry are accepted', () => {
    expect(errorFaults(files('### ERR_ONE\n### `ERR_TWO`\n', "'ERR_ONE', 'ERR_TWO'"))).toEqual([])
  })

  test('a code without an entry, an entry without a code, and a code that is never thrown are refused', () => {
    expect(messages(errorFaults(files('### ERR_ONE\n### ERR_THREE\n', "'ERR_ONE'")))).toEqual([
      'ERR_TWO has no entry',
      'ERR_THREE is neither a code of ErrorCode nor one of the login server',
      'nothing throws ERR_TWO',
    ])
  })
})

test('a code that only the login server answers with needs an entry too', () => {
  const files = new Map([
    ['packages/gatepass/src/error.ts', ''],
    ['packages/server/src/problem.ts', "export const problem = { code: 'ERR_HOST' }"],
  ])
  expect(messages(errorFaults(new Map([...files, ['docs/errors.md', '### ERR_HOST']])))).toEqual([])
  expect(messages(errorFaults(new Map([...files, ['docs/errors.md', '']])))).toEqual(['ERR_HOST has no entry'])
})

describe('named tests', () => {
  const table = '| Attack | Test |\n| --- | --- |\n| replay | a.test.ts “a token is used once” |\n\n“not in the table”'

  test('titles are compared as they are read, not as they are escaped', () => {
    const escaped = "test('the owner\\u2019s, and nobody\\'s', () => {})"
    const held = new Map([
      ...page("| What | Test |\n| --- | --- |\n| x | “the owner’s, and nobody's” |"),
      ['packages/gatepass/src/a.test.ts', escaped],
    ])
    expect(testFaults(held)).toEqual([])
  })

  test('a test that exists is accepted, and one that does not is refused', () => {
    const held = new Map([
      ...page(table),
      ['packages/gatepass/src/a.test.ts', "test('a token is used once', () => {})"],
    ])
    expect(testFaults(held)).toEqual([])
    expect(places(testFaults(page(table)))).toEqual(['docs/page.md:3'])
  })
})

describe('docstrings', () => {
  const files = (source: string): ReadonlyMap<string, string> =>
    new Map([
      [
        'packages/gatepass/package.json',
        JSON.stringify({ name: 'gatepass', exports: { '.': { 'gatepass:source': './src/index.ts' } } }),
      ],
      ['packages/gatepass/src/index.ts', "export { a as b, type C } from './a.ts'\nexport * from './d.ts'"],
      ['packages/gatepass/src/a.ts', source],
      ['packages/gatepass/src/d.ts', '/** Is d. */\nexport const d = 1'],
    ])

  test('a public export with a docstring is accepted, and a private one needs none', () => {
    expect(
      docstringFaults(
        files('/** Does a. */\nexport function a() {}\n/** Is C. */\nexport interface C {}\nexport const e = 1'),
      ),
    ).toEqual([])
  })

  test('an interface of options needs none of its own', () => {
    expect(
      docstringFaults(
        files('/** Does a. */\nexport function a() {}\nexport interface AOptions {}\nexport { type AOptions as C }'),
      ),
    ).toEqual([])
  })

  test('a public export without a docstring is refused, under whatever name it is passed on', () => {
    expect(messages(docstringFaults(files('export function a() {}\n/** Is C. */\nexport interface C {}')))).toEqual([
      'function a is exported by gatepass and has no docstring',
    ])
  })
})
