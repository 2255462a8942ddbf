import { type Direction, mentionsDropIn, originalOf, replacementOf } from './drop-ins.ts'
import { type Finding, findingsIn } from './findings.ts'
import { moduleUses } from './imports.ts'
import { type DependencyChange, dependencyChanges, manifestWith } from './manifest.ts'
import type { Project } from './project.ts'
import { type FilePlan, rewritten } from './rewrite.ts'
import { syntaxOf } from './syntax.ts'

/** All that a migration would do to a project. */
export interface Plan {
  readonly files: readonly FilePlan[]
  readonly dependencies: readonly DependencyChange[]
  /** The new text of package.json; `undefined` if it stays as it is. */
  readonly manifest: string | undefined
  /** Files that mention one of the packages and could not be parsed. */
  readonly unreadable: readonly string[]
  /** What stays for a person to decide. */
  readonly findings: readonly (Finding & { readonly path: string })[]
}

/** @param gatepass the version range to ask for in package.json */
export function planFor(project: Project, direction: Direction, gatepass: string): Plan {
  const read = project.sources
    .filter(({ text }) => mentionsDropIn(text))
    .map((source) => ({ source, program: syntaxOf(source.path, source.text) }))
  const files: FilePlan[] = []
  const findings: (Finding & { path: string })[] = []
  const stillUsed = new Set<string>()
  for (const { source, program } of read) {
    if (program === undefined) continue
    const uses = moduleUses(program)
    const file = rewritten(source, uses, direction)
    if (file.changes.length > 0) files.push(file)
    for (const { specifier } of uses) noteUse(stillUsed, replacementOf(specifier, direction) ?? specifier)
    findings.push(...findingsIn(program).map((finding) => ({ path: source.path, ...finding })))
  }
  const unreadable = read.filter(({ program }) => program === undefined).map(({ source }) => source.path)
  const dependencies = dependencyChanges(project, { direction, files, stillUsed, unreadable, gatepass })
  return { files, dependencies, manifest: manifestWith(project.manifest, dependencies), unreadable, findings }
}

/** A package is still used as itself, or by one of its internal files. */
function noteUse(used: Set<string>, specifier: string): void {
  const name = specifier.split('/', 1)[0] ?? specifier
  if (specifier.startsWith('gatepass/')) used.add('gatepass')
  else if (originalOf(name) !== undefined) used.add(name)
}
