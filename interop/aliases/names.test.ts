import { execFile } from 'node:child_process'
import { createRequire } from 'node:module'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const require = createRequire(import.meta.url)
const originals = ['passport', 'express-session', 'cookie-session', 'cookie-parser', 'cookie07', 'cookie1']

interface Shape {
  readonly names: readonly string[]
  readonly kind: string
  readonly members: readonly string[]
}

/** What `import` and `require()` give, in a process without a test runner that would load modules in its own way. */
async function shapeOf(specifier: string): Promise<Shape> {
  const program = `
    const { createRequire } = require('node:module')
    const [, from, specifier] = process.argv
    const required = createRequire(from)(specifier)
    import(createRequire(from).resolve(specifier)).then((all) => {
      if (all.default !== required) throw new Error('the default import is not what require() gives')
      const names = Object.keys(all).filter((name) => name !== '__esModule' && all[name] !== undefined)
      console.log(JSON.stringify({ names, kind: typeof required, members: Object.keys(required) }))
    })`
  const args = ['--conditions=gatepass:source', '-e', program, import.meta.filename, specifier]
  const { stdout } = await promisify(execFile)(process.execPath, args)
  return JSON.parse(stdout) as Shape
}

test.each(originals)(
  'the alias of %s has the names that the original has, by import and by require()',
  async (original) => {
    const [theirs, ours] = await Promise.all([shapeOf(original), shapeOf(`@gatepass/${original.replace(/\d+$/, '')}`)])
    expect(ours.kind).toBe(theirs.kind)
    expect(ours.names).toEqual(expect.arrayContaining([...theirs.names]))
    if (original !== 'cookie07') expect([...ours.names]).toEqual([...theirs.names])
  },
)

test.each([
  ['session/cookie', 'Cookie'],
  ['session/memory', 'MemoryStore'],
  ['session/session', 'Session'],
  ['session/store', 'Store'],
])('express-session/%s is %s, as in the original', (file, name) => {
  for (const one of ['express-session', '@gatepass/express-session'])
    expect(require(`${one}/${file}`)).toBe(require(one)[name])
})

test.each(['', '/authenticator', '/errors/authenticationerror', '/strategies/session'])(
  'passport/lib%s has the name that it has in Passport',
  (file) => {
    const [ours, theirs] = [require(`@gatepass/passport/lib${file}`), require(`passport/lib${file}`)]
    expect(typeof ours).toBe(typeof theirs)
    if (file === '') expect(ours).toBe(require('@gatepass/passport'))
  },
)

// So ranges such as `^0.5 || ^0.6 || ^0.7` take it, and no release of the original comes after it.
test.each(['passport', 'express-session', 'cookie-session', 'cookie-parser'])(
  'the version of the alias of %s is that of the original, with a later patch',
  (name) => {
    const [ours, theirs] = [`@gatepass/${name}`, name].map((one) => require(`${one}/package.json`).version.split('.'))
    expect(ours.slice(0, 2)).toEqual(theirs.slice(0, 2))
    expect(Number(ours[2])).toBeGreaterThanOrEqual(1000)
  },
)
