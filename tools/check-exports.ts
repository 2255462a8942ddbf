/**
 * Checks that what a package promises in `exports`, what its sources offer and what the documentation mentions are the same.
 *
 * Why it exists: an entry that is forgotten in one of the three places works here, where sources are used, and fails for the
 * people who install the package. With `--built` it packs the packages as npm would publish them, unpacks each in an empty
 * folder, loads every entry with `require()` and `import`, and starts every command.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, posix, resolve } from 'node:path'
import {
  builtFrom,
  conclude,
  type Entry,
  type Fault,
  type Files,
  isTest,
  type Package,
  packageOf,
  packagesIn,
  reachable,
  readFiles,
  root,
  sourceFile,
} from './project.ts'

/** Everything that is wrong with the entries of the published packages. */
export function exportFaults(files: Files): Fault[] {
  const published = packagesIn(files).filter(({ isPrivate }) => !isPrivate)
  return [
    ...published.flatMap((one) => one.entries.flatMap((entry) => entryFaults(files, one, entry))),
    ...published.flatMap((one) => commandFaults(files, one)),
    ...published.flatMap((one) => unreachableFiles(files, one)),
    ...published.flatMap((one) => undeclaredPackages(files, one)),
    ...published.flatMap((one) => unusedDependencies(files, one, published)),
    ...published.flatMap((one) => one.entries.flatMap((entry) => unmentioned(files, one, entry))),
    ...mentionFaults(files, published),
  ]
}

const order = ['gatepass:source', 'types', 'default']

function entryFaults(files: Files, one: Package, entry: Entry): Fault[] {
  const path = posix.join(one.folder, 'package.json')
  const fault = (message: string, remedy: string): Fault => ({ path, message: `${entry.name}: ${message}`, remedy })
  const conditions = entry.targets.map(([condition]) => condition)
  if (conditions.join() !== order.join()) {
    // The first condition that holds wins: after `default`, nothing is ever read.
    return [fault(`its conditions are ${conditions.join(', ')}`, `Write exactly ${order.join(', ')}, in this order.`)]
  }
  const [source = '', types = '', built = ''] = entry.targets.map(([, target]) => target)
  const stem = source.replace(/^\.\/src\//, './dist/').replace(/\.ts$/, '')
  if (types !== `${stem}.d.ts` || built !== `${stem}.js`) {
    return [fault(`its targets are not built from ${source}`, `Write ${stem}.d.ts and ${stem}.js.`)]
  }
  if (files.has(entry.source)) return []
  return [fault(`${entry.source} does not exist`, 'Write the file, or remove the entry.')]
}

/** A command without its first line is run by the shell, as if it were a shell script. */
function commandFaults(files: Files, one: Package): Fault[] {
  const first = '#!/usr/bin/env node'
  return one.commands
    .filter((path) => files.get(path)?.startsWith(`${first}\n`) !== true)
    .map((path) => ({
      path,
      message: `a command of ${one.name} does not begin with ${first}`,
      remedy: `Make ${first} its first line.`,
    }))
}

/** A file that no entry and no command leads to is either forgotten in `exports` or dead. */
function unreachableFiles(files: Files, one: Package): Fault[] {
  const reached = new Set(
    [...one.entries.map(({ source }) => source), ...one.commands].flatMap((start) => [
      ...reachable(files, start, () => true).keys(),
    ]),
  )
  return [...files.keys()]
    .filter(
      (path) => path.startsWith(`${one.folder}/src/`) && path.endsWith('.ts') && !isTest(path) && !reached.has(path),
    )
    .map((path) => ({
      path,
      message: `no entry of ${one.name} leads to this file`,
      remedy: `Give it an entry in ${one.folder}/package.json, import it where it is needed, or remove it.`,
    }))
}

/** A package that is loaded at run time must be declared, or it is missing wherever nothing else brings it. */
function undeclaredPackages(files: Files, one: Package): Fault[] {
  return [...files.keys()]
    .filter((path) => path.startsWith(`${one.folder}/src/`) && path.endsWith('.ts') && !isTest(path))
    .flatMap((path) =>
      sourceFile(files, path)
        .imports.filter(({ typeOnly, specifier }) => !typeOnly && !/^(\.|node:)/.test(specifier))
        .filter(({ specifier }) => !one.dependencies.has(packageOf(specifier)) && packageOf(specifier) !== one.name)
        .map(({ specifier, line }) => ({
          path,
          line,
          message: `loads ${packageOf(specifier)}, which ${one.folder}/package.json does not declare`,
          remedy: 'Add it to dependencies, or to peerDependencies and peerDependenciesMeta when it is optional.',
        })),
    )
}

/** What a package installs and does not load costs everyone who installs it; a peer of a package that it loads is loaded there. */
function unusedDependencies(files: Files, one: Package, published: readonly Package[]): Fault[] {
  const loaded = [...files.keys()]
    .filter((path) => path.startsWith(`${one.folder}/src/`) && path.endsWith('.ts') && !isTest(path))
    .flatMap((path) => sourceFile(files, path).imports.map(({ specifier }) => packageOf(specifier)))
  const peers = published
    .filter(({ name }) => one.installed.includes(name))
    .flatMap(({ dependencies, installed }) => [...dependencies].filter((name) => !installed.includes(name)))
  return one.installed
    .filter((name) => !loaded.includes(name) && !peers.includes(name))
    .map((name) => ({
      path: posix.join(one.folder, 'package.json'),
      message: `installs ${name}, which no source loads`,
      remedy: 'Take it out of dependencies.',
    }))
}

function isPage(path: string): boolean {
  return path.endsWith('.md') && (path.startsWith('docs/') || posix.basename(path) === 'README.md')
}

function unmentioned(files: Files, one: Package, entry: Entry): Fault[] {
  const pages = [...files].filter(([path]) => isPage(path))
  if (pages.some(([, text]) => mentions(text).some(({ name }) => name === entry.name))) return []
  return [
    {
      path: posix.join(one.folder, 'package.json'),
      message: `${entry.name} is mentioned in no page of docs/ and in no README`,
      remedy: `Say in docs/ or README.md what it is for, with its name as \`${entry.name}\` or in an import.`,
    },
  ]
}

/** Names of entries in quotes or backticks: what a reader would copy. */
function mentions(text: string): { name: string; line: number }[] {
  return text.split('\n').flatMap((content, at) =>
    [...content.matchAll(/['"`](gatepass(?:-server|-migrate)?(?:\/[\w./-]+)?)['"`]/g)].map(([, name = '']) => ({
      name,
      line: at + 1,
    })),
  )
}

function mentionFaults(files: Files, published: readonly Package[]): Fault[] {
  const known = new Set(published.flatMap(({ name, entries }) => [name, ...entries.map((entry) => entry.name)]))
  return [...files]
    .filter(([path]) => isPage(path))
    .flatMap(([path, text]) =>
      mentions(text)
        .filter(({ name }) => !known.has(name))
        .map(({ name, line }) => ({
          path,
          line,
          message: `${name} is not an entry of any package`,
          remedy: 'Correct the name, or add the entry to package.json.',
        })),
    )
}

/**
 * Packs every published package, unpacks it where only its dependencies are installed, loads each entry both ways and starts
 * each command.
 *
 * @returns what went wrong; also when an entry loads, but not the same through `require()` as through `import`
 */
function builtFaults(files: Files): Fault[] {
  return packagesIn(files)
    .filter(({ isPrivate }) => !isPrivate)
    .flatMap((one) => {
      const folder = mkdtempSync(join(tmpdir(), 'gatepass-built-'))
      try {
        return packedFaults(one, folder)
      } finally {
        rmSync(folder, { recursive: true })
      }
    })
}

function packedFaults(one: Package, folder: string): Fault[] {
  const path = posix.join(one.folder, 'package.json')
  const commands = one.commands.map((source) => builtFrom(posix.relative(one.folder, source)))
  const missing = [...one.entries.flatMap(({ targets }) => targets.map(([, target]) => target)), ...commands]
    .filter((target) => !existsSync(resolve(root, one.folder, target)))
    .map((target) => ({ path, message: `${target} does not exist`, remedy: 'Run `npm run build` first.' }))
  if (missing.length > 0) return missing
  const home = join(folder, 'node_modules', one.name)
  mkdirSync(home, { recursive: true })
  execFileSync('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', folder], {
    cwd: resolve(root, one.folder),
  })
  execFileSync('tar', ['xzf', join(folder, `${one.name}-${one.version}.tgz`), '-C', home, '--strip-components=1'])
  const { dependencies = {}, peerDependencies = {} } = JSON.parse(readFileSync(resolve(root, path), 'utf8')) as Partial<
    Record<'dependencies' | 'peerDependencies', Record<string, string>>
  >
  for (const dependency of Object.keys(dependencies)) link(folder, dependency)
  const peers = Object.keys(peerDependencies)
  return [
    ...one.entries.flatMap(({ name }) =>
      [loadComplaint, typeComplaint].map((ask) => [name, askWithPeers(ask, { folder, name, peers })]),
    ),
    ...commands.map((command) => [command, commandComplaint(home, command)]),
  ]
    .filter(([, complaint]) => complaint !== undefined)
    .map(([name, complaint]) => ({
      path,
      message: `${name}: ${complaint}`,
      remedy: 'Look at the file in dist that this names.',
    }))
}

type Ask = (folder: string, name: string) => string | undefined

/** An entry may need a peer that it is named for or made with; all others have to do without any. */
function askWithPeers(ask: Ask, entry: { folder: string; name: string; peers: readonly string[] }): string | undefined {
  const { folder, name, peers } = entry
  const complaint = ask(folder, name)
  const lacking = /Cannot find (?:package|module) '([^']+)'/.exec(complaint ?? '')?.[1] ?? ''
  if (!peers.includes(lacking)) return complaint
  const linked = link(folder, lacking)
  try {
    return ask(folder, name)
  } finally {
    rmSync(linked)
  }
}

/** Installs a package of this repository's there, with all that it depends on. */
function link(folder: string, name: string): string {
  const place = join(folder, 'node_modules', name)
  mkdirSync(dirname(place), { recursive: true })
  symlinkSync(resolve(root, 'node_modules', name), place)
  return place
}

/** Why an entry cannot be loaded where only its package is installed, in `folder`. */
export function loadComplaint(folder: string, name: string): string | undefined {
  const program = `
    const required = require(${JSON.stringify(name)})
    import(${JSON.stringify(name)}).then((imported) => {
      const names = Object.keys(imported).filter((key) => key !== 'module.exports')
      if (names.length === 0) throw new Error('it exports nothing')
      // What require() gives as a whole needs no name of its own.
      const other = names.find((key) => required[key] !== imported[key] && required !== imported[key])
      if (other !== undefined) throw new Error(other + ' differs between require() and import')
    }).catch((error) => { console.error(error.message); process.exitCode = 1 })`
  writeFileSync(join(folder, 'load.cjs'), program)
  // Without the condition that would lead to the sources.
  const environment = { ...process.env, NODE_OPTIONS: '' }
  const { status, stderr } = spawnSync(process.execPath, ['load.cjs'], {
    cwd: folder,
    encoding: 'utf8',
    env: environment,
  })
  return status === 0 ? undefined : stderr.trim()
}

/** Why a command of the package in `home` does not start, or cannot load a file that it imports later. */
export function commandComplaint(home: string, command: string): string | undefined {
  const program = `
    const files = require('node:fs').globSync('dist/**/*.js', { cwd: ${JSON.stringify(home)} })
    for (const file of files) if (file !== ${JSON.stringify(command)}) require('./' + file)`
  writeFileSync(join(home, 'load-all.cjs'), program)
  const options = { cwd: home, encoding: 'utf8', env: { ...process.env, NODE_OPTIONS: '' } } as const
  const runs = [['load-all.cjs'], [command, '--help']].map((args) => spawnSync(process.execPath, args, options))
  return runs.find(({ status }) => status !== 0)?.stderr.trim()
}

/** What TypeScript says when this entry is imported from an ES module and from a CommonJS module. */
export function typeComplaint(folder: string, name: string): string | undefined {
  const imports = `import * as entry from '${name}'\nexport { entry }\n`
  for (const file of ['consumer.mts', 'consumer.cts']) writeFileSync(join(folder, file), imports)
  const compilerOptions = {
    module: 'nodenext',
    target: 'es2024',
    strict: true,
    noEmit: true,
    types: ['node'],
    typeRoots: [resolve(root, 'node_modules/@types')],
  }
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({ compilerOptions, files: ['consumer.mts', 'consumer.cts'] }),
  )
  const compiler = resolve(root, 'node_modules/typescript/bin/tsc')
  const { status, stdout } = spawnSync(process.execPath, [compiler, '-p', folder], { encoding: 'utf8' })
  return status === 0 ? undefined : stdout.trim()
}

if (import.meta.main) {
  const files = readFiles()
  const count = packagesIn(files).flatMap(({ entries }) => entries).length
  if (process.argv.includes('--built'))
    conclude(
      'check-exports',
      builtFaults(files),
      `${count} entries load from the packed package, by require() and import, and every command starts`,
    )
  else conclude('check-exports', exportFaults(files), `${count} entries have a source and a place in the documentation`)
}
