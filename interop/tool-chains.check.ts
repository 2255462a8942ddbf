/**
 * Installs the packed packages beside the tools of `tool-chains/package.json`, in a temporary folder, and runs one application of CommonJS in
 * each tool chain. Prints a table; the exit code is 1 if one of them failed.
 *
 * `node interop/tool-chains.check.ts [name…]`, after `npm run build`: those whose name contains one of the words, or all.
 */
import { execFileSync, spawn } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join, resolve } from 'node:path'

const root = resolve(import.meta.dirname, '..')
const folder = mkdtempSync(join(tmpdir(), 'gatepass-tool-chains-'))
const published = [
  ...['gatepass', 'server', 'migrate'],
  ...['cookie', 'cookie-parser', 'cookie-session', 'express-session', 'passport'].map((name) => `aliases/${name}`),
]

/** A tool chain: commands that must all succeed, one after the other. */
type Chain = readonly (readonly string[])[]

/** Each in a folder of its own: Jest looks for its parts from the project, and would find those of another version. */
const jests = ['26.6.3', '29.7.0', '30.5.2']
const jest = (version: string): [string, Chain] => [
  `jest ${version}`,
  [[`jest-${version}/node_modules/jest/bin/jest.js`, '--rootDir', 'app', '--testEnvironment', 'node', 'app.test.js']],
]
const mocha = ['node_modules/mocha/bin/mocha.js', '--timeout', '20000', 'app/app.test.js', 'app/proxied.test.js']

const chains = new Map<string, Chain>([
  ['node', [['app/main.js']]],
  ['node without require(esm)', [['--no-experimental-require-module', 'app/once.js']]],
  ...jests.map(jest),
  ['mocha, nyc, proxyquire', [['node_modules/nyc/bin/nyc.js', process.execPath, ...mocha]]],
  ['vitest', [['node_modules/vitest/vitest.mjs', 'run', '--root', 'app', '--config', 'vitest.config.mjs']]],
  ['tsx', [['node_modules/tsx/dist/cli.mjs', 'app/main.js']]],
  [
    'ts-node',
    [
      [
        'node_modules/ts-node/dist/bin.js',
        '--project',
        typesOf('commonjs', 'node10', ['app/typed.ts']),
        'app/typed.ts',
      ],
    ],
  ],
  ['esbuild', bundled('main.js', 'out/esbuild.cjs')],
  ['esbuild, own conditions', bundled('main.js', 'out/own.cjs', '--conditions=own')],
  ['esbuild, import as an ES module', bundled('imported.mjs', 'out/esbuild.mjs', '--format=esm')],
  ['webpack', [['app/webpack.cjs'], ['out/webpack.cjs']]],
  [
    'ncc',
    [['node_modules/@vercel/ncc/dist/ncc/cli.js', 'build', 'app/main.js', '-o', 'out/ncc', '-q'], ['out/ncc/index.js']],
  ],
  ...types('typescript', [
    ['commonjs', 'node10'],
    ['node16', 'node16'],
    ['nodenext', 'nodenext'],
    ['esnext', 'bundler'],
  ]),
  ...types('typescript-7', [
    ['commonjs', 'bundler'],
    ['node16', 'node16'],
    ['nodenext', 'nodenext'],
    ['esnext', 'bundler'],
  ]),
])

function bundled(source: string, file: string, ...flags: readonly string[]): Chain {
  const args = [`app/${source}`, '--bundle', '--platform=node', `--outfile=${file}`, '--log-level=error', ...flags]
  return [['node_modules/esbuild/bin/esbuild', ...args], [file]]
}

/** A compiler's chains: the types of both forms, as far as the mode knows them. */
function types(compiler: string, modes: readonly (readonly [module: string, resolution: string])[]): [string, Chain][] {
  return modes.map(([module, resolution]) => {
    const required = ['types/requires.cts', 'types/interop.cts']
    const files =
      module === 'esnext'
        ? ['types/imports.mts']
        : module === 'commonjs'
          ? required
          : ['types/imports.mts', ...required]
    const project = typesOf(module, resolution, files)
    return [`${compiler}, ${module}, ${resolution}`, [[`node_modules/${compiler}/bin/tsc`, '-p', project]]]
  })
}

/** Writes a configuration that checks the libraries, too, and returns its path. */
function typesOf(module: string, moduleResolution: string, files: readonly string[]): string {
  const path = `${module}-${moduleResolution}-${files.length}.json`
  const compilerOptions = {
    ...{ module, moduleResolution, target: 'es2022', lib: ['es2024', 'dom'], types: ['node'] },
    ...{ strict: true, noImplicitAny: true, esModuleInterop: true, noEmit: true, skipLibCheck: false },
  }
  writeFileSync(join(folder, path), JSON.stringify({ compilerOptions, files }))
  return path
}

/** Packs the published packages and unpacks those that applications load where the tools are installed. */
function install(): string[] {
  for (const name of ['package.json', 'package-lock.json', 'app', 'types'])
    cpSync(join(import.meta.dirname, 'tool-chains', name), join(folder, name), { recursive: true })
  cpSync(join(root, '.npmrc'), join(folder, '.npmrc'))
  const npm = (cwd: string, ...args: string[]): string =>
    execFileSync('npm', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
  // Not `ci`: it misses an optional package of Windows in the lock file that `install` writes.
  npm(folder, 'install', '--ignore-scripts', '--silent')
  for (const version of jests) {
    const place = join(folder, `jest-${version}`)
    mkdirSync(place)
    npm(place, 'install', '--prefix', place, '--ignore-scripts', '--silent', '--no-package-lock', `jest@${version}`)
  }
  const packed = published.map((name) => {
    const cwd = join(root, 'packages', name)
    return join(folder, npm(cwd, 'pack', '--ignore-scripts', '--silent', '--pack-destination', folder).trim())
  })
  const home = join(folder, 'node_modules/gatepass')
  mkdirSync(home)
  execFileSync('tar', ['xzf', packed[0] ?? '', '-C', home, '--strip-components=1'])
  const { dependencies, peerDependencies } = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8')) as {
    dependencies: object
    peerDependencies: object
  }
  // Some declarations need the types of a peer.
  for (const name of [...Object.keys(dependencies), ...Object.keys(peerDependencies).filter((peer) => peer === 'hono')])
    cpSync(join(root, 'node_modules', name), join(folder, 'node_modules', name), { recursive: true })
  return packed
}

/** Runs a chain and returns what it said if it failed. */
async function complaint(chain: Chain): Promise<string | undefined> {
  for (const args of chain) {
    const child = spawn(process.execPath, args, {
      cwd: folder,
      env: { ...process.env, NODE_OPTIONS: '', PATH: dirname(process.execPath) + delimiter + process.env.PATH },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let text = ''
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (chunk) => (text += chunk))
    const status = await new Promise((done) => child.once('close', done))
    if (status !== 0) return `${args.join(' ')}\n${text}`
  }
  return undefined
}

try {
  const packed = install()
  for (const path of packed) {
    const name = path.slice(folder.length + 1)
    chains.set(`publint ${name}`, [['node_modules/publint/src/cli.js', path, '--strict']])
    if (/\.d\.[cm]?ts$/m.test(execFileSync('tar', ['tzf', path], { encoding: 'utf8' })) && !/server|migrate/.test(name))
      chains.set(`attw ${name}`, [['node_modules/@arethetypeswrong/cli/dist/index.js', path, '--format', 'ascii']])
  }
  const words = process.argv.slice(2)
  const chosen = [...chains].filter(([name]) => words.length === 0 || words.some((word) => name.includes(word)))
  const waiting = [...chosen]
  const complaints = new Map<string, string>()
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [name, chain] = next
      const begun = performance.now()
      const said = await complaint(chain)
      if (said !== undefined) complaints.set(name, said)
      const seconds = ((performance.now() - begun) / 1000).toFixed(1).padStart(6)
      console.log(`${said === undefined ? 'passed' : 'FAILED'} ${seconds} s  ${name}`)
    }
  }
  await Promise.all([work(), work()])
  for (const [name, text] of complaints) console.error(`\n── ${name}\n${text}`)
  console.log(`tool-chains: ${chosen.length - complaints.size} of ${chosen.length} passed`)
  if (complaints.size > 0) process.exitCode = 1
} finally {
  rmSync(folder, { recursive: true })
}
