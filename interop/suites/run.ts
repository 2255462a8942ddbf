/**
 * Runs a peer's own tests against our drop-in for it:
 *
 *     node --conditions=gatepass:source interop/suites/run.ts cookie-parser <folder of a checkout>
 *
 * The checkout is not changed. Install there the packages that its tests need. Prints how many tests pass, and each that fails,
 * with the reason if it is known. Exits with 1 if a reason is not known.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { startVitest } from 'vitest/node'
import { type Suite, suites } from './suites.ts'

interface Result {
  readonly title: string
  /** Why it failed; `undefined` if it passed. */
  readonly failure?: string
}

async function byMocha(suite: Suite, folder: string): Promise<Result[]> {
  const mocha = createRequire(resolve(folder, 'package.json')).resolve(suite.mocha?.bin ?? 'mocha/bin/mocha.js')
  const { args = ['test/'] } = suite.mocha ?? {}
  const swaps = Object.entries({ [suite.entry]: suite.dropIn, ...suite.internals }).map(([file, ours]) => [
    pathToFileURL(resolve(folder, file)).href,
    import.meta.resolve(ours),
  ])
  const swap = import.meta.resolve('./swap.ts')
  const child = spawn(process.execPath, [...process.execArgv, '--import', swap, mocha, '--reporter', 'json', ...args], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      ...process.env,
      NODE_ENV: 'test',
      SUITE_SWAPS: JSON.stringify(Object.fromEntries(swaps)),
    },
  })
  const [output] = await Promise.all([text(child.stdout), once(child, 'close')])
  const report = JSON.parse(output.slice(output.indexOf('{'))) as {
    passes: { fullTitle: string }[]
    failures: { fullTitle: string; err: { message: string } }[]
  }
  return [
    ...report.passes.map(({ fullTitle }) => ({ title: fullTitle })),
    ...report.failures.map(({ fullTitle, err }) => ({ title: fullTitle, failure: err.message })),
  ]
}

async function byVitest(suite: Suite, folder: string): Promise<Result[]> {
  const entry = resolve(folder, suite.entry)
  const dropIn = fileURLToPath(import.meta.resolve(suite.dropIn))
  const swap = {
    name: 'swap',
    enforce: 'pre' as const,
    resolveId(id: string, importer: string | undefined) {
      if (importer === undefined || !id.startsWith('.')) return undefined
      const file = resolve(importer, '..', id, id.endsWith('/') ? 'index.ts' : '')
      return file.replace(/\.js$/, '.ts') === entry ? dropIn : undefined
    },
  }
  const { include } = suite
  const options = {
    root: folder,
    watch: false,
    config: false as const,
    reporters: [{}],
    ...(include && { include: [...include] }),
  }
  const vitest = await startVitest('test', [], options, { plugins: [swap] })
  const modules = vitest.state.getTestModules()
  const [broken] = modules.flatMap((module) => module.errors())
  if (broken !== undefined) throw new Error(broken.message)
  const tests = modules.flatMap((module) => [...module.children.allTests()])
  await vitest.close()
  return tests.map((test) => {
    const { errors = [], state } = test.result()
    return state === 'failed' ? { title: test.fullName, failure: errors[0]?.message ?? '' } : { title: test.fullName }
  })
}

const [name = '', folder = ''] = process.argv.slice(2)
const suite = suites[name]
if (suite === undefined || folder === '') {
  console.error(`Usage: run.ts <${Object.keys(suites).join('|')}> <folder of the checkout>`)
  process.exit(2)
}

const results = await (suite.runner === 'mocha' ? byMocha : byVitest)(suite, resolve(folder))
const failed = results.filter(({ failure }) => failure !== undefined)
console.log(`${name}: ${results.length - failed.length} of ${results.length} pass`)
const known = Object.entries(suite.known ?? {})
for (const { title, failure = '' } of failed) {
  const reason = known.find(([start]) => title.startsWith(start))?.[1]
  console.log(`  ${title}\n    ${reason === undefined ? failure.split('\n')[0] : `known: ${reason}`}`)
  if (reason === undefined) process.exitCode = 1
}
