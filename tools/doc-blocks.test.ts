import { resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { blocksIn, compileFaults, markFaults, modulesOf } from './doc-blocks.ts'
import { type Fault, root } from './project.ts'

const page = (text: string): ReadonlyMap<string, string> => new Map([['docs/page.md', text]])
const fence = (info: string, code: string): string => `\`\`\`${info}\n${code}\n\`\`\`\n`
const places = (faults: readonly Fault[]): string[] => faults.map(({ path, line }) => `${path}:${line}`)
const messages = (faults: readonly Fault[]): string[] => faults.map(({ message }) => message)

describe('blocks', () => {
  test('TypeScript blocks of pages and docstrings are found with their lines, other blocks are not', () => {
    const files = new Map([
      ['README.md', `# Title\n\n${fence('ts', 'const a = 1')}${fence('sh', 'npm test')}`],
      [
        'packages/gatepass/src/a.ts',
        `/**\n * Does a.\n *\n * ${fence('ts', ' * a()').trim().replace('\n```', '\n * ```')}\n */\nexport const a = 1`,
      ],
      ['packages/gatepass/src/a.test.ts', `/**\n * ${fence('ts', 'b')} */`],
    ])
    expect(blocksIn(files).map(({ path, line, code }) => `${path}:${line} ${code}`)).toEqual([
      'README.md:4 const a = 1',
      'packages/gatepass/src/a.ts:5 a()',
    ])
  })

  test('a block continues the one before it, and a hidden one can be continued', () => {
    const text = `<!-- ts\ndeclare const app: string\n-->\n${fence('ts continued', 'app')}${fence('ts', 'let b')}${fence('ts no-check: pseudo code', '…')}`
    expect(modulesOf(blocksIn(page(text))).map((module) => module.map(({ code }) => code))).toEqual([
      ['declare const app: string', 'app'],
      ['let b'],
    ])
  })

  test('a block that is left unchecked without a reason is refused', () => {
    const text = ['ts', 'ts continued', 'ts no-check: shows an error', 'ts no-check', 'ts ignore', 'js', 'typescript']
    expect(messages(markFaults(blocksIn(page(text.map((info) => fence(info, '')).join('')))))).toEqual([
      'a block is marked "ts no-check"',
      'a block is marked "ts ignore"',
      'a block is marked "js"',
      'a block is marked "typescript"',
    ])
  })

  test('code that does not compile is refused at its line, and an augmentation reaches no other block', () => {
    const text = [
      fence('ts', "import { randomBytes } from 'node:crypto'\n\nconst bytes: string = randomBytes(1)"),
      fence('ts', 'const first = 1'),
      fence('ts continued', '\nconst second: string = first'),
      fence('ts', 'declare global {\n  interface Augmented {\n    a: 1\n  }\n}\nexport const a: Augmented = { a: 1 }'),
      fence('ts', 'export const b: Augmented = { a: 1 }'),
    ].join('')
    const faults = compileFaults(modulesOf(blocksIn(page(text))), resolve(root, '.check-docs-test'))
    expect(places(faults)).toEqual(['docs/page.md:4', 'docs/page.md:11', 'docs/page.md:22'])
    expect(messages(faults)[0]).toContain('TS2322')
  })
})
