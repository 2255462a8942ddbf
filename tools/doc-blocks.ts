/**
 * The TypeScript in pages and docstrings: where it is, and whether it compiles against the sources of the packages.
 *
 * Why it exists: an example that does not compile any more is the first thing a newcomer meets, and the last that we would
 * notice. For how blocks are marked, see CONTRIBUTING.md.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join, posix, resolve } from 'node:path'
import { type Fault, type Files, isTest, root, sourceFile } from './project.ts'

/** A piece of TypeScript in a page or a docstring. */
export interface Block {
  readonly path: string
  /** Of its first line of code. */
  readonly line: number
  readonly info: string
  readonly code: string
}

/** Blocks that are compiled as one file. */
export type Module = readonly Block[]

/** What a compiler says about one line of a module. */
interface Complaint {
  readonly line: number
  readonly message: string
}

/** Every TypeScript block in `files`, and what is wrong with how it is marked. */
export function blocksIn(files: Files): Block[] {
  return [...files].flatMap(([path, text]) => {
    if (path.endsWith('.md')) return fencesIn(path, text, 1)
    if (!/^packages\/[^/]+\/src\/.*\.ts$/.test(path) || isTest(path)) return []
    return sourceFile(files, path).docstrings.flatMap((docstring) =>
      fencesIn(path, docstring.text.replace(/^[ \t]*\* ?/gm, ''), docstring.line),
    )
  })
}

const opening = /^(?<indent>\s*)(?:(?<fence>`{3,})(?<fenced>\w.*)|<!-- (?<hidden>ts\b.*))$/

function fencesIn(path: string, text: string, firstLine: number): Block[] {
  const lines = text.split('\n')
  const found: Block[] = []
  for (let at = 0; at < lines.length; at++) {
    const { fence, fenced, hidden } = opening.exec(lines[at] ?? '')?.groups ?? {}
    const close = fence ?? (hidden === undefined ? undefined : '-->')
    if (close === undefined) continue
    const end = lines.findIndex((line, i) => i > at && line.trim() === close)
    const code = lines.slice(at + 1, end === -1 ? lines.length : end)
    found.push({ path, line: firstLine + at + 1, info: (fenced ?? hidden ?? '').trim(), code: code.join('\n') })
    at += code.length + 1
  }
  return found.filter(({ info }) => /^(ts|typescript|tsx|js|javascript)\b/.test(info))
}

/** Blocks marked in a way that leaves them unchecked. */
export function markFaults(blocks: readonly Block[]): Fault[] {
  return blocks.flatMap(({ path, line, info }) => {
    if (/^ts( continued| no-check: .{8,})?$/.test(info)) return []
    const remedy = 'Mark it `ts`, `ts continued`, or `ts no-check: <why it cannot be compiled>`.'
    return [{ path, line: line - 1, message: `a block is marked "${info}"`, remedy }]
  })
}

/** Puts blocks together that continue each other. */
export function modulesOf(blocks: readonly Block[]): Module[] {
  const modules: Block[][] = []
  for (const block of blocks) {
    const last = modules.at(-1)
    if (block.info === 'ts continued' && last?.[0]?.path === block.path) last.push(block)
    else if (block.info === 'ts') modules.push([block])
  }
  return modules
}

/** An augmentation reaches every module it is compiled with, so it is compiled alone. */
function isAlone(module: Module): boolean {
  return module.some(({ code }) => /\bdeclare (module|global)\b/.test(code))
}

/** Compiles modules against the sources of the packages. */
export function compileFaults(modules: readonly Module[], folder: string = resolve(root, '.check-docs')): Fault[] {
  const together = modules.filter((module) => !isAlone(module))
  const batches = [together, ...modules.filter(isAlone).map((module) => [module])].filter((batch) => batch.length > 0)
  try {
    return batches.flatMap((batch) => compileBatch(batch, folder))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function compileBatch(batch: readonly Module[], folder: string): Fault[] {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const names = batch.map((_, at) => `block-${at}.ts`)
  batch.forEach((module, at) => {
    // `export {}` at the end: a block without imports is a module all the same, and shares no names with the others.
    writeFileSync(join(folder, names[at] ?? ''), `${module.map(({ code }) => code).join('\n')}\nexport {}\n`)
  })
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(configFor(names)))
  const { stdout, status } = spawnSync(process.execPath, [compiler, '-p', folder, '--pretty', 'false'], {
    encoding: 'utf8',
  })
  return complaintFaults(batch, names, stdout, status ?? 1)
}

const compiler = resolve(root, 'node_modules/typescript/bin/tsc')

function configFor(names: readonly string[]): object {
  return {
    extends: resolve(root, 'tsconfig.base.json'),
    compilerOptions: {
      noEmit: true,
      declaration: false,
      isolatedDeclarations: false,
      customConditions: ['gatepass:source'],
      noUnusedLocals: false,
      typeRoots: [resolve(root, 'node_modules/@types')],
    },
    files: names,
  }
}

function complaintFaults(batch: readonly Module[], names: readonly string[], output: string, status: number): Fault[] {
  const complaints = complaintsIn(output)
  const faults = batch.flatMap((module, at) =>
    (complaints.get(names[at] ?? '') ?? []).map((complaint) => blockFault(module, complaint)),
  )
  // What is wrong in the sources is for check:types to say; what is neither there nor in a block would pass unseen.
  if (status === 0 || complaints.size > 0) return faults
  const message = `tsc failed: ${output.trim().slice(0, 400)}`
  return [{ path: 'tools/check-docs.ts', message, remedy: 'Run it on the folder .check-docs to see why.' }]
}

/** The compiler's complaints by name of file. */
function complaintsIn(output: string): Map<string, Complaint[]> {
  const found = new Map<string, Complaint[]>()
  for (const [, path = '', line = '', message = ''] of output.matchAll(
    /^(.+?)\((\d+),\d+\): (error .+(?:\n {2,}.+)*)/gm,
  )) {
    const name = posix.basename(path)
    found.set(name, [...(found.get(name) ?? []), { line: Number(line), message }])
  }
  return found
}

function blockFault(module: Module, { line, message }: Complaint): Fault {
  let rest = line
  for (const block of module) {
    const length = block.code.split('\n').length
    if (rest <= length)
      return { path: block.path, line: block.line + rest - 1, message, remedy: 'Correct the code in the block.' }
    rest -= length
  }
  const last = module.at(-1)
  return { path: last?.path ?? '', line: last?.line ?? 1, message, remedy: 'Correct the code in the block.' }
}
