import { resolve } from 'node:path'
import { expect, test } from 'vitest'
import { docFaults } from './check-docs.ts'
import { root } from './project.ts'

const manifest = JSON.stringify({ name: 'gatepass', exports: { '.': { 'gatepass:source': './src/index.ts' } } })
const sound = {
  'packages/gatepass/package.json': manifest,
  'packages/gatepass/src/index.ts': '/** Is a. */\nexport const a = 1',
  'docs/page.md': '```ts\nconst a = 1\n```\n[errors](errors.md) `packages/gatepass/src/index.ts`\n',
  'docs/errors.md': '',
}
const check = (files: Record<string, string>): string[] =>
  docFaults(new Map(Object.entries(files)), () => false, resolve(root, '.check-docs-whole')).map(({ path }) => path)

test('documentation that is true is accepted', () => {
  expect(check(sound)).toEqual([])
})

test('whatever is not true in it is found', () => {
  const untrue = {
    ...sound,
    'packages/gatepass/src/index.ts': 'export const a = 1',
    'docs/marked.md': '```ts skip\n```',
    'docs/compiled.md': '```ts\nconst a: string = 1\n```',
    'docs/linked.md': '[gone](gone.md)',
    'docs/mentions.md': '`session/gone.ts`',
    'docs/errors.md': '### ERR_GONE',
    'docs/tested.md': '| What | Test |\n| --- | --- |\n| x | “gone” |',
  }
  expect(check(untrue)).toEqual([
    'docs/marked.md',
    'docs/compiled.md',
    'docs/linked.md',
    'docs/mentions.md',
    'docs/errors.md',
    'docs/tested.md',
    'packages/gatepass/src/index.ts',
  ])
})
