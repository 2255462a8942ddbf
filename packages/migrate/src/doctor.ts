import { dropIns, mentionsDropIn } from './drop-ins.ts'
import { type Finding, fault, findingsIn } from './findings.ts'
import { moduleUses } from './modules.ts'
import { installed, type Project } from './project.ts'
import { askServer } from './running-server.ts'
import { nodesOf } from './syntax.ts'

/** Prints what is wrong, or could be, with an application and its running server; returns the exit code. */
export async function doctor(project: Project, url?: URL): Promise<0 | 1> {
  const findings = [...projectFindings(project), ...(url === undefined ? [] : await askServer(url))]
  for (const { grade, where, what, advice } of findings)
    console.log(`${grade === 'fault' ? 'FAULT ' : 'look at'} ${where}: ${what}\n        ${advice}`)
  const faults = findings.filter(({ grade }) => grade === 'fault').length
  const counts = Object.entries({ fault: faults, remark: findings.length - faults })
  const counted = counts.map(([noun, count]) => `${count} ${noun}${count === 1 ? '' : 's'}`)
  console.log(findings.length === 0 ? 'No findings.' : `\n${counted.join(', ')}`)
  return faults === 0 ? 0 : 1
}

/** What the sources and package.json of an application show. */
function projectFindings({ folder, manifest, sources }: Project): Finding[] {
  const faults: Finding[] = []
  const files = sources.flatMap(({ path, text }) => {
    if (!mentionsDropIn(text) && !text.includes('gatepass')) return []
    const nodes = nodesOf(path, text)
    if (nodes === undefined)
      faults.push(fault(path, 'cannot be parsed', 'Correct it, or look at its imports yourself.'))
    return nodes ? [{ path, nodes }] : []
  })
  const uses = files.flatMap(({ path, nodes }) =>
    moduleUses(nodes).map(({ specifier, line }) => ({ specifier, where: `${path}:${line}` })),
  )
  const gatepass = uses.find(({ specifier }) => /^gatepass(?:\/|$)/.test(specifier))
  if (gatepass !== undefined && manifest.dependencies.gatepass === undefined) {
    const advice = `Run: npm install gatepass (imported at ${gatepass.where})`
    faults.push(fault('package.json', 'gatepass is imported and not among the dependencies', advice))
  } else if (gatepass !== undefined && installed(folder, 'gatepass') === undefined) {
    faults.push(fault('node_modules', 'gatepass is not installed', 'Run: npm install'))
  }
  for (const { original, entry } of dropIns) {
    // Two copies of these would not know of each other's logins.
    if (original !== 'express-session' && original !== 'passport') continue
    const left = uses.find(({ specifier }) => specifier === original)
    const taken = uses.find(({ specifier }) => specifier === entry)
    if (left === undefined || taken === undefined) continue
    const what = `imports ${original}, and ${taken.where} its drop-in`
    faults.push(fault(left.where, what, 'Import one of them everywhere: gatepass-migrate does it.'))
  }
  return [...faults, ...files.flatMap(({ path, nodes }) => findingsIn(path, nodes))]
}
