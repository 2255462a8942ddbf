import { join } from 'node:path'
import type { Node } from '@babel/types'
import { type DropIn, dropIns, isAliasSpec, mentionsDropIn } from './drop-ins.ts'
import { type Finding, fault, findingsIn, remark } from './findings.ts'
import { type Copy, type Installed, readInstalled } from './installed.ts'
import { declaration } from './manifest.ts'
import { mentionInPath, mentionsInManifest, mentionsInSource, mentionsInText } from './mentions.ts'
import { moduleUses } from './modules.ts'
import { installCommand, managerOf } from './package-manager.ts'
import { installedFolder, manifestsAbove, type Project, textOf } from './project.ts'
import { askServer } from './running-server.ts'
import { nodesOf } from './syntax.ts'
import { toolFindings } from './tool-chain.ts'

/** Prints what is wrong, or could be, with an application and its running server; returns the exit code. */
export async function doctor(project: Project, url?: URL): Promise<0 | 1> {
  const findings = [...projectFindings(project), ...(url === undefined ? [] : await askServer(url))]
  showFindings(findings)
  return findings.some(({ grade }) => grade === 'fault') ? 1 : 0
}

/** Prints findings and how many there are. */
export function showFindings(findings: readonly Finding[]): void {
  for (const { grade, where, what, advice } of findings)
    console.log(`${grade === 'fault' ? 'FAULT ' : 'look at'} ${where}: ${what}\n        ${advice}`)
  const faults = findings.filter(({ grade }) => grade === 'fault').length
  const counts = Object.entries({ fault: faults, remark: findings.length - faults })
  const counted = counts.map(([noun, count]) => `${count} ${noun}${count === 1 ? '' : 's'}`)
  console.log(findings.length === 0 ? 'No findings.' : `\n${counted.join(', ')}`)
}

/** A source that mentions one of the packages or gatepass. */
interface Read {
  readonly path: string
  readonly nodes: readonly Node[]
  readonly uses: readonly { readonly specifier: string; readonly where: string }[]
}

/** What the sources, the settings and the installed packages of an application show. */
function projectFindings(project: Project): Finding[] {
  const files: Read[] = []
  const findings: Finding[] = []
  for (const { path, text } of project.sources) {
    if (!mentionsDropIn(text) && !text.includes('gatepass')) continue
    const nodes = nodesOf(path, text)
    if (nodes === undefined)
      findings.push(fault(path, 'cannot be parsed', 'Correct it, or look at its imports yourself.'))
    else
      files.push({
        path,
        nodes,
        uses: moduleUses(nodes).map(({ specifier, line }) => ({ specifier, where: `${path}:${line}` })),
      })
  }
  const importing = files.filter(({ uses }) => uses.some(({ specifier }) => specifier.startsWith('gatepass/')))
  const installed = readInstalled(project)
  const notInstalled = installationFindings(project, files, installed)
  const several = dropIns.flatMap((dropIn) => mixtureFindings(dropIn, { project, files, installed }))
  const tools = toolFindings(
    project,
    importing.map(({ path }) => path),
  )
  return [
    ...findings,
    ...notInstalled,
    ...several,
    ...tools,
    ...files.flatMap(({ path, nodes }) => findingsIn(path, nodes)),
  ]
}

/** What is loaded, and not declared, not installed, or installed twice. */
function installationFindings(project: Project, files: readonly Read[], { copies, missing }: Installed): Finding[] {
  const { folder, manifests } = project
  const findings: Finding[] = []
  for (const { path, uses } of files) {
    const above = manifestsAbove(manifests, path)
    const use = uses.find(({ specifier }) => /^gatepass(?:\/|$)/.test(specifier))
    if (use === undefined || above.some((manifest) => declaration(manifest, 'gatepass'))) continue
    const what = 'gatepass is imported and not among the dependencies'
    findings.push(fault(above[0]?.path ?? 'package.json', what, `Run: npm install gatepass (imported at ${use.where})`))
    break
  }
  const advice = `Run: ${installCommand(managerOf(project))}`
  const wanted = ['gatepass', ...dropIns.map(({ original }) => original)]
  const absent = wanted.find((name) =>
    manifests.some((manifest) => declaration(manifest, name) && !installedFolder(join(folder, manifest.folder), name)),
  )
  if (absent !== undefined) findings.push(fault('node_modules', `${absent} is not installed`, advice))
  else if (missing !== undefined && files.length > 0)
    findings.push(remark('node_modules', `${missing} is not installed, so it is unknown what it loads`, advice))
  const gatepass = copies.filter(({ name }) => name === 'gatepass')
  if (gatepass.length > 1) findings.push(severalTimes('gatepass', gatepass))
  return findings
}

function severalTimes(name: string, copies: readonly Copy[]): Finding {
  const places = copies.map(({ version, for: user }) => `${version} for ${user}`).join(', ')
  const advice = 'What is set up in one is unknown to the other. Ask for one version everywhere.'
  return fault('node_modules', `${name} is there ${copies.length} times: ${places}`, advice)
}

interface Evidence {
  readonly project: Project
  readonly files: readonly Read[]
  readonly installed: Installed
}

/** An original beside its drop-in, or beside another copy of itself. */
function mixtureFindings(
  { original, entry, alias, stateful }: DropIn,
  { project, files, installed }: Evidence,
): Finding[] {
  const findings: Finding[] = []
  const useOf = (wanted: string) => files.flatMap(({ uses }) => uses).find(({ specifier }) => specifier === wanted)
  const [left, taken] = [useOf(original), useOf(entry)]
  const originals = installed.copies.filter(({ name, is }) => name === original && is !== alias)
  const isAliased = project.manifests.some((manifest) => isAliasSpec(declaration(manifest, original)?.spec, original))
  // Two copies of these would not know of each other's logins.
  if (stateful && left !== undefined && taken !== undefined && !isAliased) {
    const what = `imports ${original}, and ${taken.where} its drop-in`
    findings.push(
      fault(left.where, what, 'Import one of them everywhere, or install the alias: gatepass-migrate does it.'),
    )
  }
  if (taken !== undefined && left === undefined) {
    const named = namesOf(project, files).find((mention) => mention.original === original)
    const advice = `What stands in for it, or configures it, has no effect. Name the drop-in there, or import ${original} and install its alias.`
    if (named !== undefined)
      findings.push(fault(named.where, `names ${original}, but ${taken.where} imports ${entry}`, advice))
  }
  if (taken === undefined && !isAliased) {
    if (original === 'passport' && originals.length > 1) findings.push(severalTimes(original, originals))
    return findings
  }
  for (const loader of installed.loaders) {
    const copy = originals.find(({ folder }) => folder === loader.gets)
    if (loader.original !== original || copy === undefined) continue
    const what = `loads the original ${original} ${copy.version}`
    const advice =
      'The application uses the drop-in, and neither knows of the logins of the other. Override it: gatepass-migrate does it.'
    findings.push(
      stateful
        ? fault(loader.file, what, advice)
        : remark(loader.file, what, 'Nothing to do: it keeps nothing that the other would need.'),
    )
  }
  return findings
}

/** Where tests and tools name originals. */
function namesOf(
  { folder, manifests, others, sources }: Project,
  files: readonly Read[],
): { original: string; where: string }[] {
  return [
    ...manifests.flatMap(mentionsInManifest),
    ...sources.flatMap(({ path }) => mentionInPath(path) ?? []),
    ...files.flatMap(({ path, nodes }) => mentionsInSource(path, nodes)),
    ...others.flatMap((path) => mentionsInText(path, textOf(join(folder, path)) ?? '')),
  ].filter(({ kind }) => kind === 'name')
}
