import { readFileSync, realpathSync, statSync } from 'node:fs'
import { basename, join, sep } from 'node:path'
import { dropInFor, dropIns } from './drop-ins.ts'
import type { ManifestFields } from './manifest.ts'
import { moduleUses } from './modules.ts'
import { filesBelow, installedFolder, type Project, pathIn, textOf } from './project.ts'
import { nodesOf } from './syntax.ts'

/** An installed package that loads an original. */
export interface Loader {
  readonly original: string
  /** What it loads: the original, or an internal file. */
  readonly specifier: string
  /** `passport.socketio/lib/index.js` */
  readonly file: string
  /** Whether it brings the original along. Otherwise it takes the application's. */
  readonly brings: boolean
  /** The folder of the package that it gets. */
  readonly gets: string | undefined
}

/** What is installed below an application. */
export interface Installed {
  readonly loaders: readonly Loader[]
  /** Folders of the packages that the application or its packages get under a name that matters here. */
  readonly copies: readonly Copy[]
  /** A dependency that is not installed, so that it is unknown what it loads. */
  readonly missing: string | undefined
}

/** A package in `node_modules`. */
export interface Copy {
  /** The name under which it is installed. */
  readonly name: string
  /** The name in its package.json: an alias has its own. */
  readonly is: string
  readonly version: string
  readonly folder: string
  /** Who gets it: `the application`, or a package. */
  readonly for: string
}

const originals: ReadonlySet<string> = new Set(dropIns.map(({ original }) => original))
const NOT_LOADED = /^(?:node_modules|tests?|__tests__|__mocks__|specs?|examples?|docs?|benchmarks?|\..*)$/
const CODE = /\.[cm]?[jt]sx?$/
const NO_CODE = /\.d\.[cm]?ts$|\.min\.js$|\.(?:test|spec)\.[cm]?[jt]sx?$/
const LARGEST = 32 * 1024 * 1024

/** Follows the dependencies of the application's packages through `node_modules`, and looks for the originals in their files. */
export function readInstalled({ folder, manifests }: Project): Installed {
  const loaders: Loader[] = []
  const copies = new Map<string, Copy>()
  const seen = new Set<string>()
  const own = realpathSync(folder) + sep
  let missing: string | undefined
  const queue: { readonly folder: string; readonly json: ManifestFields; readonly isOwn: boolean }[] = manifests.map(
    (manifest) => ({ folder: realpathSync(join(folder, manifest.folder)), json: manifest.json, isOwn: true }),
  )
  // The list grows while the loop reads it.
  for (const { folder: from, json, isOwn } of queue) {
    const found = isOwn ? [] : loadersIn(from, json)
    loaders.push(...found)
    const needed = { ...json.dependencies, ...json.optionalDependencies, ...json.peerDependencies }
    // What a file loads without declaring it is found, too.
    const names = new Set([
      ...Object.keys({ ...needed, ...(isOwn ? json.devDependencies : {}) }),
      ...found.map(({ original }) => original),
    ])
    for (const name of names) {
      const place = installedFolder(from, name)
      if (place === undefined) {
        if (isOwn && missing === undefined && isRequired(json, name)) missing = name
        continue
      }
      const dependency = readJson(place)
      const key = `${name} ${place}`
      if ((originals.has(name) || name === 'gatepass') && !copies.has(key)) {
        const { name: is = name, version = '?' } = dependency
        copies.set(key, { name, is, version, folder: place, for: isOwn ? 'the application' : (json.name ?? from) })
      }
      // A workspace is among the manifests already.
      if (seen.has(place) || (place.startsWith(own) && !place.includes(`${sep}node_modules${sep}`))) continue
      seen.add(place)
      queue.push({ folder: place, json: dependency, isOwn: false })
    }
  }
  return { loaders, copies: [...copies.values()], missing }
}

/** An optional package may be left out. Types load nothing, and what the originals load is known. */
function isRequired({ dependencies, devDependencies }: ManifestFields, name: string): boolean {
  const isDeclared = (dependencies?.[name] ?? devDependencies?.[name]) !== undefined
  return isDeclared && !name.startsWith('@types/') && !originals.has(name) && name !== 'gatepass'
}

function readJson(folder: string): ManifestFields {
  try {
    return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8').replace(/^\uFEFF/, '')) as ManifestFields
  } catch {
    return {}
  }
}

/** The originals that the files of an installed package load, each with the first file that does. */
function loadersIn(
  folder: string,
  { name = basename(folder), dependencies, optionalDependencies }: ManifestFields,
): Loader[] {
  if (originals.has(name) || name === 'gatepass' || name.startsWith('@gatepass/')) return []
  const loaders = new Map<string, Loader>()
  for (const file of filesBelow(folder, NOT_LOADED)) {
    if (!CODE.test(file) || NO_CODE.test(file) || statSync(file).size > LARGEST) continue
    const text = textOf(file) ?? ''
    for (const { original, specifier } of loadsIn(file, text)) {
      if (loaders.has(specifier)) continue
      loaders.set(specifier, {
        original,
        specifier,
        file: `${name}/${pathIn(folder, file)}`,
        brings: (dependencies?.[original] ?? optionalDependencies?.[original]) !== undefined,
        gets: installedFolder(folder, original),
      })
    }
  }
  return [...loaders.values()]
}

const LOADS = new RegExp(
  `(?:\\brequire\\b[^\\n'"\`]{0,40}\\(|\\bfrom|\\bimport)\\s*\\(?\\s*['"\`](?:${[...originals].join('|')})['"\`/]`,
)

/** A search costs less than parsing, and comments often show how a package is loaded. */
function loadsIn(file: string, text: string): { original: string; specifier: string }[] {
  if (!LOADS.test(text)) return []
  const nodes = nodesOf(file, text)
  const specifiers =
    nodes === undefined
      ? [...text.matchAll(new RegExp(LOADS, 'g'))].map(([found]) => found.replace(/^.*['"`](?=\w)|['"`/]$/gs, ''))
      : moduleUses(nodes).map(({ specifier }) => specifier)
  return specifiers.flatMap((specifier) => {
    const original = dropInFor(specifier)?.original
    return original === undefined || specifier.endsWith('/package.json') ? [] : [{ original, specifier }]
  })
}
