import { dropIns, mentionsDropIn } from './drop-ins.ts'
import { findingsIn } from './findings.ts'
import { moduleUses } from './imports.ts'
import { installed, type Project } from './project.ts'
import { fault, remark, type Symptom } from './symptom.ts'
import { type Node, syntaxOf } from './syntax.ts'

/** What can be told of an application by reading it. */
export function examineProject(project: Project): Symptom[] {
  const programs = project.sources.flatMap(({ path, text }) => {
    const concerned = mentionsDropIn(text) || text.includes('gatepass')
    const program = concerned ? syntaxOf(path, text) : undefined
    return program === undefined ? [] : [{ path, program }]
  })
  const uses = programs.flatMap(({ path, program }) =>
    moduleUses(program).map(({ specifier, line }) => ({ specifier, where: `${path}:${line}` })),
  )
  return [
    ...installation(project, uses),
    ...mixtures(uses),
    ...programs.flatMap(({ path, program }) => remarks(path, program)),
  ]
}

interface Use {
  readonly specifier: string
  readonly where: string
}

function installation({ folder, manifest }: Project, uses: readonly Use[]): Symptom[] {
  const first = uses.find(({ specifier }) => specifier === 'gatepass' || specifier.startsWith('gatepass/'))
  if (first === undefined) return []
  if (manifest.dependencies.gatepass === undefined) {
    return [
      fault(
        'package.json',
        'gatepass is imported and not among the dependencies',
        `Run: npm install gatepass (imported at ${first.where})`,
      ),
    ]
  }
  if (installed(folder, 'gatepass') !== undefined) return []
  return [fault('node_modules', 'gatepass is not installed', 'Run: npm install')]
}

/** Two copies of one thing: each would have its own idea of who is logged in. */
function mixtures(uses: readonly Use[]): Symptom[] {
  return dropIns
    .filter(({ original }) => original === 'express-session' || original === 'passport')
    .flatMap(({ original, entry }) => {
      const left = uses.find(({ specifier }) => specifier === original)
      const taken = uses.find(({ specifier }) => specifier === entry)
      if (left === undefined || taken === undefined) return []
      return [
        fault(
          left.where,
          `imports ${original}, and ${taken.where} its drop-in`,
          'Import one of them everywhere: gatepass-migrate does it.',
        ),
      ]
    })
}

function remarks(path: string, program: Node): Symptom[] {
  return findingsIn(program).map(({ line, what, advice }) => remark(`${path}:${line}`, what, advice))
}
