import { describe, expect, test } from 'vitest'
import { scan } from './scan.ts'

describe('imports', () => {
  const specifiers = (text: string): string[] => scan(text).imports.map(({ specifier }) => specifier)

  test('every form of import is found, with its line', () => {
    const { imports } = scan(`import 'a'
import b from "b"
import { type C, d as e } from 'c'
import type { F } from 'f'
import * as g from 'g'
export * from 'h'
export * as i from 'i'
export { j, type K as L } from 'j'
export type { M } from 'm'
const n = await import('n')
const o = require('o')
type P = import('p').P
type Q = typeof import('q')`)
    expect(imports.map(({ specifier, line }) => `${line}${specifier}`).join(' ')).toBe(
      '1a 2b 3c 4f 5g 6h 7i 8j 9m 10n 11o 12p 13q',
    )
    expect(imports.filter(({ typeOnly }) => typeOnly).map(({ specifier }) => specifier)).toEqual(['f', 'm', 'p', 'q'])
    expect(imports.filter(({ dynamic }) => dynamic).map(({ specifier }) => specifier)).toEqual(['n', 'o', 'p', 'q'])
  })

  test('an import over several lines is one import', () => {
    expect(scan("\nimport {\n  a,\n  b,\n} from 'x'\n").imports).toEqual([
      { specifier: 'x', line: 2, typeOnly: false, dynamic: false },
    ])
  })

  test('an import in a comment, a string, a template or a regular expression is none', () => {
    expect(
      specifiers(`// import 'a'
/* import 'b' */
const c = "import 'c'"
const d = \`import 'd' \${e ? \`import 'f'\` : '}'} import 'g'\`
const h = /import 'h'["'\`]/.test(d)
import 'last'`),
    ).toEqual(['last'])
  })

  test('the file of a worker thread is loaded when the thread starts', () => {
    const text =
      "new Worker(new URL(built ? './t.js' : './t.ts', import.meta.url)); new URL('https://a.example/b.ts'); f('./c.ts')"
    expect(scan(text).imports).toEqual([{ specifier: './t.ts', line: 1, typeOnly: false, dynamic: true }])
  })

  test('a division does not hide what follows it', () => {
    expect(specifiers("const a = b / 2; import 'x' // c / d\nconst e = (f) / g; import 'y'; h / i")).toEqual(['x', 'y'])
  })

  test('an import inside a template substitution is left out, and what follows it is found', () => {
    expect(specifiers(`const a = \`\${b({ c: '}' })}\`\nimport 'x'`)).toEqual(['x'])
  })

  test('import.meta, a member called import and an export of a declaration import nothing', () => {
    expect(
      specifiers("import.meta.main; a.import('b'); export const from = 'c'; export { from }; const x = 'd'"),
    ).toEqual([])
  })
})

describe('exports', () => {
  test('every form of export is found under its public and its local name', () => {
    const { exports } = scan(`export const a = 1
export async function* b() {}
export abstract class C {}
export interface D {}
export type E = string
export { f, g as h, type I, i as "module.exports" }
export { j as k } from './j.ts'
export * from './l.ts'
export * as m from './m.ts'
export declare function n(): void`)
    expect(exports.map(({ name, local, from }) => `${name}=${local}${from ? `@${from}` : ''}`)).toEqual(
      'a=a b=b C=C D=D E=E f=f h=g I=I module.exports=i k=j@./j.ts *=*@./l.ts m=*@./m.ts n=n'.split(' '),
    )
  })

  test('a docstring belongs to the declaration that follows it, and to no other', () => {
    const { declarations } = scan(`/** About a. */
export async function a() {}
export function b() {}
/** About c. */
// biome-ignore lint: a reason
export interface C {}
/** About the statement. */
call()
const d = 1`)
    expect([...declarations].map(([name, { docstring }]) => [name, docstring])).toEqual([
      ['a', '** About a. *'],
      ['b', undefined],
      ['C', '** About c. *'],
      ['d', undefined],
    ])
  })

  test('a declaration inside a function is not one of the file', () => {
    expect([...scan('function a() { /** b */ const b = 1 }').declarations.keys()]).toEqual(['a'])
  })
})

test('a file that cannot be parsed is an error that names it, and not a file without imports', () => {
  expect(() => scan("import 'a'\nconst b = (1", 'docs/broken.ts')).toThrow('docs/broken.ts:2')
})
