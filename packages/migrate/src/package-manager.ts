import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parse } from 'jsonc-parser'
import { editedJson, type JsonEdit } from './manifest.ts'
import { type Project, pathIn, textOf } from './project.ts'

/** What installs the application's packages. */
export interface Manager {
  readonly name: 'npm' | 'pnpm' | 'yarn' | 'bun'
  /** The folder of its lock file, or the application's if there is none. Only there it reads overrides. */
  readonly root: string
  /** The lock file's name; `undefined` if there is none, or one that is not a text. */
  readonly lock: string | undefined
}

const locks = [
  ['package-lock.json', 'npm'],
  ['npm-shrinkwrap.json', 'npm'],
  ['pnpm-lock.yaml', 'pnpm'],
  ['yarn.lock', 'yarn'],
  ['bun.lock', 'bun'],
  ['bun.lockb', 'bun'],
] as const

/** Finds the lock file of an application, which is above it if it is one of several workspaces. */
export function managerOf({ folder, manifests: [own] }: Pick<Project, 'folder' | 'manifests'>): Manager {
  for (let root = folder; ; root = dirname(root)) {
    const [lock, name] = locks.find(([file]) => existsSync(join(root, file))) ?? []
    if (name !== undefined) return { name, root, lock: lock === 'bun.lockb' ? undefined : lock }
    if (root === dirname(root)) break
  }
  const [, named] = /^(npm|pnpm|yarn|bun)@/.exec(String(own.json.packageManager ?? '')) ?? []
  return { name: (named as Manager['name'] | undefined) ?? 'npm', root: folder, lock: undefined }
}

/** A file with its new text. */
interface Edited {
  /** Relative to the project. */
  readonly path: string
  readonly text: string
}

/** The package that all others get under a name. */
export interface Override {
  readonly name: string
  readonly spec: string
  /** The text of package.json so far. */
  readonly manifest: string
  /** The texts that files have so far. */
  readonly files: ReadonlyMap<string, string>
}

/** The file in which the package manager reads overrides, with this one; `undefined` if it is there already. */
export function overrideIn(
  { folder }: Project,
  { name: manager, root }: Manager,
  { name, spec, manifest, files }: Override,
): Edited | undefined {
  const json = parse(manifest.replace(/^\uFEFF/, '')) as Record<string, Record<string, unknown> | undefined>
  const settings = 'pnpm-workspace.yaml'
  if (manager === 'pnpm' && json.pnpm?.overrides === undefined) {
    const text = files.get(settings) ?? textOf(join(root, settings)) ?? ''
    if (new RegExp(`^\\s+['"]?${name}['"]?:`, 'm').test(text)) return undefined
    const line = `  ${name}: ${spec}\n`
    const [block] = /^overrides:[ \t]*\r?\n/m.exec(text) ?? []
    const end = text === '' || text.endsWith('\n') ? '' : '\n'
    const edited = block === undefined ? `${text}${end}overrides:\n${line}` : text.replace(block, `${block}${line}`)
    return { path: pathIn(folder, join(root, settings)), text: edited }
  }
  const path = {
    npm: ['overrides', name],
    bun: ['overrides', name],
    yarn: ['resolutions', name],
    pnpm: ['pnpm', 'overrides', name],
  }[manager]
  const isDirect = ['dependencies', 'devDependencies', 'optionalDependencies'].some(
    (section) => json[section]?.[name] !== undefined,
  )
  // npm refuses an override that differs from what package.json itself asks for.
  const value = manager === 'npm' && isDirect ? `$${name}` : spec
  const [outer = '', inner = '', innermost] = path
  const there =
    innermost === undefined
      ? json[outer]?.[inner]
      : (json[outer]?.[inner] as Record<string, unknown> | undefined)?.[innermost]
  if (there === value) return undefined
  return { path: 'package.json', text: editedJson(manifest, [{ path, value }]) }
}

/**
 * package-lock.json without the copies of these packages that others have brought: npm applies an override only to what is not
 * locked yet. `undefined` if there are none.
 */
export function withoutLocked(
  { folder }: Project,
  { name, root, lock }: Manager,
  originals: readonly string[],
): Edited | undefined {
  const text = name !== 'npm' || lock === undefined ? undefined : textOf(join(root, lock))
  if (text === undefined || lock === undefined || originals.length === 0) return undefined
  const { packages = {} } = JSON.parse(text.replace(/^\uFEFF/, '')) as {
    packages?: Record<string, { name?: string; link?: boolean }>
  }
  const edits: JsonEdit[] = Object.entries(packages)
    .filter(([place, { name: is, link }]) => {
      const original = originals.find((one) => place.endsWith(`node_modules/${one}`))
      return original !== undefined && link !== true && is?.startsWith('@gatepass/') !== true
    })
    .map(([place]) => ({ path: ['packages', place], value: undefined }))
  if (edits.length === 0) return undefined
  return { path: pathIn(folder, join(root, lock)), text: editedJson(text, edits) }
}

/** The command by which the manager installs what package.json says, though the lock file does not say it yet. */
export function installCommand({ name }: Manager): string {
  return { npm: 'npm install', pnpm: 'pnpm install --no-frozen-lockfile', yarn: 'yarn install', bun: 'bun install' }[
    name
  ]
}
