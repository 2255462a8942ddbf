import type { DependencyChange } from './manifest.ts'
import type { Plan } from './plan.ts'

/** The plan, for a person to read before or after it was carried out. */
export function planText(plan: Plan): string {
  return [...fileLines(plan), ...dependencyLines(plan.dependencies), ...unreadableLines(plan)].join('\n')
}

function fileLines({ files }: Plan): string[] {
  return files.flatMap(({ path, changes }) => [
    `  ${path}`,
    ...changes.map(({ line, from, to }) => `    line ${line}: ${from} → ${to}`),
  ])
}

const signs: Record<DependencyChange['action'], string> = { add: '+', remove: '-', keep: '=' }

function dependencyLines(changes: readonly DependencyChange[]): string[] {
  if (changes.length === 0) return []
  return [
    '  package.json',
    ...changes.map(
      ({ name, action, range, reason }) =>
        `    ${signs[action]} ${name} ${range}${action === 'keep' ? ' stays' : ''}: ${reason}`,
    ),
  ]
}

function unreadableLines({ unreadable }: Plan): string[] {
  if (unreadable.length === 0) return []
  return ['  Not understood, and left as they are:', ...unreadable.map((path) => `    ${path}`)]
}

/** What a person has to decide; empty if there is nothing. */
export function findingsText(findings: Plan['findings']): string {
  return findings.map(({ path, line, what, advice }) => `  ${path}:${line}: ${what}\n    ${advice}`).join('\n')
}
