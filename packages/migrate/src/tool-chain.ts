import { existsSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { parse } from 'jsonc-parser'
import { type Finding, fault } from './findings.ts'
import { readManifest } from './manifest.ts'
import { installedFolder, type Project, textOf } from './project.ts'

/** Node's oldest major version that runs Gatepass. */
const OLDEST_NODE = 22
/** Settings of tools under which an application that imports a drop-in does not start, compile or run its tests. */
export function toolFindings(project: Project, importing: readonly string[]): Finding[] {
  const reasons = new Set(importing.map((path) => typesReason(project, path)).filter((reason) => reason !== undefined))
  const findings = [...reasons].map((reason) => {
    const what = `${reason}, so the compiler does not find gatepass/compat/…`
    return fault(
      'TypeScript',
      what,
      'Set `moduleResolution` to `nodenext` or `bundler`, or import the originals and use the aliases: gatepass-migrate --alias',
    )
  })
  return [...findings, ...nodeFindings(project)]
}

/** Files that choose an older Node than Gatepass needs. */
function nodeFindings({ folder, others, manifests }: Project): Finding[] {
  const choices = others.flatMap((path) => {
    const name = basename(path)
    const text = textOf(join(folder, path)) ?? ''
    if (name === '.nvmrc' || name === '.node-version') return [{ path, version: /^v?(\d+)/.exec(text.trim())?.[1] }]
    if (name === '.tool-versions') return [{ path, version: /^node(?:js)?\s+(\d+)/m.exec(text)?.[1] }]
    if (/^(?:Dockerfile|Containerfile)/.test(name))
      return [{ path, version: /^FROM\s+\S*\bnode:(\d+)/m.exec(text)?.[1] }]
    return []
  })
  // "18.x" and "^20" admit no other; ">=18" does.
  for (const { path, json } of manifests) {
    const { node } = (json.engines ?? {}) as { readonly node?: string }
    choices.push({ path, version: /^[\^~=v]?(\d+)(?:\.[\dx*]+)*$/.exec(node?.trim() ?? '')?.[1] })
  }
  return choices.flatMap(({ path, version }) => {
    if (version === undefined || Number(version) >= OLDEST_NODE) return []
    return [fault(path, `chooses Node ${version}`, 'Gatepass needs Node 22.13 or newer.')]
  })
}

/** Why the compiler does not find the types of an entry of gatepass for this file; `undefined` if it does. */
export function typesReason({ folder }: Project, path: string): string | undefined {
  if (!/\.[cm]?tsx?$/.test(path)) return undefined
  for (let place = dirname(path); ; place = dirname(place)) {
    const config = join(place, 'tsconfig.json')
    if (existsSync(join(folder, config))) {
      const resolution = resolutionOf(join(folder, config), folder)
      return resolution === undefined ? undefined : `${config} has ${resolution}, which looks only into @types`
    }
    if (place === '.' || place === '/') return undefined
  }
}

interface CompilerOptions {
  readonly module?: string
  readonly moduleResolution?: string
}

/** The setting by which the compiler looks into no package but those of `@types`; `undefined` if it looks into others, too. */
function resolutionOf(config: string, folder: string): string | undefined {
  const { module = '', moduleResolution } = compilerOptions(config, 0)
  if (moduleResolution !== undefined)
    return moduleResolution.toLowerCase() === 'classic' ? '"moduleResolution": "classic"' : undefined
  const isClassic = /^(?:es\d+|esnext|amd|umd|system)$/i.test(module) && (majorOf(folder, 'typescript') ?? 0) < 6
  return isClassic ? `"module": "${module}" without "moduleResolution"` : undefined
}

/** The options of a file over those of the files that it extends. */
function compilerOptions(file: string, depth: number): CompilerOptions {
  const json = parse(textOf(file) ?? '', [], { allowTrailingComma: true }) as
    | { readonly extends?: string | readonly string[]; readonly compilerOptions?: CompilerOptions }
    | undefined
  const bases = depth > 9 ? [] : [json?.extends ?? []].flat()
  const inherited = bases.map((base) => compilerOptions(baseFile(dirname(file), base), depth + 1))
  return Object.assign({}, ...inherited, json?.compilerOptions) as CompilerOptions
}

function baseFile(folder: string, base: string): string {
  const [name = '', file = 'tsconfig.json'] = /^((?:@[^/]+\/)?[^/]+)(?:\/(.+))?$/.exec(base)?.slice(1) ?? []
  const path = /^\.|^\//.test(base) ? join(folder, base) : join(installedFolder(folder, name) ?? folder, file)
  return existsSync(path) && path.endsWith('.json') ? path : `${path}.json`
}

function majorOf(folder: string, name: string): number | undefined {
  const place = installedFolder(folder, name)
  const manifest = place === undefined ? undefined : readManifest(place, 'package.json')
  if (manifest === undefined || 'mistake' in manifest) return undefined
  return Number.parseInt(manifest.json.version ?? '', 10) || undefined
}
