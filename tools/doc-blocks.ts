/**
 * The TypeScript in pages and docstrings: where it is, and whether it compiles against the sources of the packages.
 *
 * Why it exists: newcomers copy examples first, and we would notice last that one does not compile any more. CONTRIBUTING.md
 * says how blocks are marked.
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

/** Every TypeScript block in `files`. */
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

/** Blocks whose mark would leave them unchecked. */
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
    // With `export {}` a block without imports is a module, too, and shares no names with the others.
    writeFileSync(join(folder, names[at] ?? ''), `${module.map(({ code }) => code).join('\n')}\nexport {}\n`)
  })
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(configFor(names)))
  const args = [compiler, '-p', folder, '--pretty', 'false']
  const { stdout, status } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  const complaints = [...stdout.matchAll(/^(.+?)\((\d+),\d+\): (error .+(?:\n {2,}.+)*)/gm)]
  const faults = batch.flatMap((module, at) =>
    complaints
      .filter(([, path = '']) => posix.basename(path) === names[at])
      .map(([, , line, message = '']) => blockFault(module, Number(line), message)),
  )
  // check:types reports errors in the sources. An error that is neither there nor in a block would pass unseen.
  if (status === 0 || complaints.length > 0) return faults
  const message = `tsc failed: ${stdout.trim().slice(0, 400)}`
  return [{ path: 'tools/check-docs.ts', message, remedy: 'Run it on the folder .check-docs to see why.' }]
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

/** @param line of the module, which begins with its first block */
function blockFault(module: Module, line: number, message: string): Fault {
  const remedy = 'Correct the code in the block.'
  let rest = line
  for (const { path, line: start, code } of module) {
    const length = code.split('\n').length
    if (rest <= length) return { path, line: start + rest - 1, message, remedy }
    rest -= length
  }
  const last = module.at(-1)
  return { path: last?.path ?? '', line: last?.line ?? 1, message, remedy }
}
