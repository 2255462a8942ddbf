/**
 * Checks that what a package promises in `exports`, what its sources offer and what the documentation mentions are the same.
 *
 * Why it exists: an entry that one of the three lacks works here, where sources are used, and fails for people who install the
 * package. With `--built` it packs the packages as npm would publish them, unpacks each in an empty folder, loads every entry
 * with `require()` and `import`, and starts every command.
 */
import { execFileSync, type SpawnSyncReturns, spawnSync } from 'node:child_process'
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
  pagesIn,
  reachable,
  readFiles,
  resolveRelative,
  root,
  sourceFile,
  sourcesOf,
  targetsOf,
} from './project.ts'

/** Everything that is wrong with the entries of the published packages. */
export function exportFaults(files: Files): Fault[] {
  const published = publishedIn(files)
  return [
    ...published.flatMap((one) => [
      ...one.entries.flatMap((entry) => entryFaults(files, one, entry)),
      ...commandFaults(files, one),
      ...unreachableFiles(files, one),
      ...undeclaredPackages(files, one),
      ...unusedDependencies(files, one, published),
      ...unmentionedEntries(files, one),
      ...privateImports(files, one),
    ]),
    ...unknownMentions(files, published),
  ]
}

function publishedIn(files: Files): Package[] {
  return packagesIn(files).filter(({ isPrivate }) => !isPrivate)
}

function manifestOf({ folder }: Package): string {
  return posix.join(folder, 'package.json')
}

function entryFaults(files: Files, one: Package, entry: Entry): Fault[] {
  const path = manifestOf(one)
  const fault = (message: string, remedy: string): Fault => ({ path, message: `${entry.name}: ${message}`, remedy })
  if (!files.has(entry.source)) {
    return [fault(`${entry.source} does not exist`, 'Write the file, or remove the entry.')]
  }
  const isDropIn = sourceFile(files, entry.source).exports.some(({ name }) => name === 'module.exports')
  const expected = targetsOf(`./${posix.relative(one.folder, entry.source)}`, { isDropIn })
  const write = `Write ${expected.map(([condition, target]) => `${condition} ${target}`).join(', ')}.`
  const conditions = entry.targets.map(([condition]) => condition).join(', ')
  // The first condition that holds wins, so nothing after `default` is read.
  if (conditions !== expected.map(([condition]) => condition).join(', ')) {
    return [fault(`its conditions are ${conditions}`, `${write} In this order.`)]
  }
  if (entry.targets.every(([, target], at) => target === expected[at]?.[1])) return []
  return [fault(`its targets are not built from ${entry.source}`, write)]
}

/** Without its first line, a command would run as a shell script. */
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

/** A file that no entry and no command leads to is either missing in `exports` or not used. */
function unreachableFiles(files: Files, one: Package): Fault[] {
  const starts = [...one.entries.map(({ source }) => source), ...one.commands]
  const reached = new Set(starts.flatMap((start) => [...reachable(files, start, () => true).keys()]))
  return sourcesOf(files, one)
    .filter((path) => !reached.has(path))
    .map((path) => ({
      path,
      message: `no entry of ${one.name} leads to this file`,
      remedy: `Give it an entry in ${manifestOf(one)}, import it where it is needed, or remove it.`,
    }))
}

/** A package that is loaded at run time must be declared, or it is missing where nothing else brings it. */
function undeclaredPackages(files: Files, one: Package): Fault[] {
  return sourcesOf(files, one).flatMap((path) =>
    sourceFile(files, path)
      .imports.filter(({ typeOnly, specifier }) => !typeOnly && !/^(\.|node:)/.test(specifier))
      .filter(({ specifier }) => !one.dependencies.has(packageOf(specifier)) && packageOf(specifier) !== one.name)
      .map(({ specifier, line }) => ({
        path,
        line,
        message: `loads ${packageOf(specifier)}, which ${manifestOf(one)} does not declare`,
        remedy: 'Add it to dependencies, or to peerDependencies and peerDependenciesMeta when it is optional.',
      })),
  )
}

/** A dependency that is not used costs everyone who installs the package. A dependency's peers count as used. */
function unusedDependencies(files: Files, one: Package, published: readonly Package[]): Fault[] {
  const loaded = sourcesOf(files, one).flatMap((path) =>
    sourceFile(files, path).imports.map(({ specifier }) => packageOf(specifier)),
  )
  const peers = published
    .filter(({ name }) => one.installed.includes(name))
    .flatMap(({ dependencies, installed }) => [...dependencies].filter((name) => !installed.includes(name)))
  return one.installed
    .filter((name) => !loaded.includes(name) && !peers.includes(name))
    .map((name) => ({
      path: manifestOf(one),
      message: `installs ${name}, which no source loads`,
      remedy: 'Remove it from dependencies.',
    }))
}

/** A test that imports by path what an entry exports would not notice that the entry has lost it. */
function privateImports(files: Files, { folder, entries }: Package): Fault[] {
  const entryOf = new Map(
    entries.flatMap(({ name, source }) => [...originsOf(files, source).values()].map((origin) => [origin, name])),
  )
  return [...files.keys()]
    .filter((path) => path.startsWith(`${folder}/`) && path.endsWith('.ts') && isTest(path))
    .flatMap((path) =>
      sourceFile(files, path).importedNames.flatMap(({ specifier, name, line }) => {
        const target = resolveRelative(path, specifier)
        const origin = target?.startsWith(`${folder}/src/`) ? originsOf(files, target).get(name) : undefined
        const entry = entryOf.get(origin ?? '')
        if (entry === undefined) return []
        return [{ path, line, message: `imports ${name} by its path`, remedy: `Import it from '${entry}'.` }]
      }),
    )
}

/** Where each name that a file exports is declared, as `path#name`. */
function originsOf(files: Files, path: string): Map<string, string> {
  const origins = new Map<string, string>()
  for (const { name, local, from = '' } of sourceFile(files, path).exports) {
    const target = resolveRelative(path, from)
    if (target === undefined) origins.set(name, `${path}#${local}`)
    else if (name === '*') for (const [inner, origin] of originsOf(files, target)) origins.set(inner, origin)
    else origins.set(name, originsOf(files, target).get(local) ?? `${target}#${local}`)
  }
  return origins
}

/** Entries in quotes or backticks, as a reader would copy them, in docs/ and in READMEs. */
function mentionedEntries(files: Files): { path: string; line: number; name: string }[] {
  return pagesIn(files)
    .filter(([path]) => path.startsWith('docs/') || posix.basename(path) === 'README.md')
    .flatMap(([path, text]) =>
      text.split('\n').flatMap((content, at) => {
        const names = content.matchAll(/['"`](gatepass(?:-server|-migrate)?(?:\/[\w./-]+)?)['"`]/g)
        return [...names].map(([, name = '']) => ({ path, line: at + 1, name }))
      }),
    )
}

function unmentionedEntries(files: Files, one: Package): Fault[] {
  const mentioned = new Set(mentionedEntries(files).map(({ name }) => name))
  return one.entries
    .filter(({ name }) => !mentioned.has(name))
    .map(({ name }) => ({
      path: manifestOf(one),
      message: `${name} is mentioned in no page of docs/ and in no README`,
      remedy: `Say in docs/ or README.md what it is for, with its name as \`${name}\` or in an import.`,
    }))
}

function unknownMentions(files: Files, published: readonly Package[]): Fault[] {
  const known = new Set(published.flatMap(({ name, entries }) => [name, ...entries.map((entry) => entry.name)]))
  return mentionedEntries(files)
    .filter(({ name }) => !known.has(name))
    .map(({ name, ...place }) => ({
      ...place,
      message: `${name} is not an entry of any package`,
      remedy: 'Correct the name, or add the entry to package.json.',
    }))
}

/** Packs every published package, unpacks it where only its dependencies are installed, and loads and starts everything. */
function builtFaults(files: Files): Fault[] {
  return publishedIn(files).flatMap((one) => {
    const folder = mkdtempSync(join(tmpdir(), 'gatepass-built-'))
    try {
      return packedFaults(one, folder)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
}

function packedFaults(one: Package, folder: string): Fault[] {
  const path = manifestOf(one)
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

type Ask = (folder: string, name: string, flags?: readonly string[]) => string | undefined

/** Loads an entry without peers first, and then with the one that it lacks. */
function askWithPeers(ask: Ask, entry: { folder: string; name: string; peers: readonly string[] }): string | undefined {
  const { folder, name, peers } = entry
  const complaint = ask(folder, name)
  const lacking = /Cannot find (?:package|module) '([^']+)'/.exec(complaint ?? '')?.[1] ?? ''
  if (!peers.includes(lacking)) return complaint
  const linked = link(folder, lacking)
  try {
    // The peer may be an ES module.
    return ask(folder, name, [])
  } finally {
    rmSync(linked)
  }
}

/** Installs a package of this repository in `folder`, with its dependencies. */
function link(folder: string, name: string): string {
  const place = join(folder, 'node_modules', name)
  mkdirSync(dirname(place), { recursive: true })
  symlinkSync(resolve(root, 'node_modules', name), place)
  return place
}

/**
 * Why an entry cannot be loaded where only its package is installed, in `folder`. `require()` must give a CommonJS module, also
 * where `exports` is not read, and `import` the same objects.
 */
export function loadComplaint(
  folder: string,
  name: string,
  flags: readonly string[] = ['--no-experimental-require-module'],
): string | undefined {
  const program = `
    const required = require(${JSON.stringify(name)})
    if (require(${JSON.stringify(`./node_modules/${name}`)}) !== required) throw new Error('its folder has another main')
    import(${JSON.stringify(name)}).then((imported) => {
      const names = Object.keys(imported)
      if (names.length === 0) throw new Error('it exports nothing')
      // What require() gives as a whole needs no name of its own.
      const other = names.find((key) => required[key] !== imported[key] && required !== imported[key])
      if (other !== undefined) throw new Error(other + ' differs between require() and import')
    }).catch((error) => { console.error(error.message); process.exitCode = 1 })`
  writeFileSync(join(folder, 'load.cjs'), program)
  const { status, stderr } = run(folder, [...flags, 'load.cjs'])
  return status === 0 ? undefined : stderr.trim()
}

/** Why a command of the package in `home` does not start, or cannot load a file that it imports later. */
export function commandComplaint(home: string, command: string): string | undefined {
  const program = `
    const files = require('node:fs').globSync('dist/**/*.js', { cwd: ${JSON.stringify(home)} })
    for (const file of files) if (file !== ${JSON.stringify(command)}) require('./' + file)`
  writeFileSync(join(home, 'load-all.cjs'), program)
  const runs = [['load-all.cjs'], [command, '--help']].map((args) => run(home, args))
  return runs.find(({ status }) => status !== 0)?.stderr.trim()
}

/** The compiler's complaints when this entry is imported from an ES module and from a CommonJS module. */
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
  const { status, stdout } = run(folder, [compiler, '-p', folder])
  return status === 0 ? undefined : stdout.trim()
}

/** Runs Node without the condition that would lead to the sources. */
function run(folder: string, args: readonly string[]): SpawnSyncReturns<string> {
  return spawnSync(process.execPath, args, {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, NODE_OPTIONS: '' },
  })
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
