import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { askServer } from '../doctor/running.ts'
import { examineProject } from '../doctor/sources.ts'
import type { Symptom } from '../doctor/symptom.ts'
import { readProject } from '../migrate/project.ts'
import { DONE, FAILED, MISUSED, type Output } from './output.ts'

/** `gatepass doctor [folder] [--url <address>]`: what is wrong, or could be, with an application and its running server. */
export async function doctor(args: readonly string[], output: Output): Promise<number> {
  const request = readRequest(args)
  if (request === undefined) {
    output.err('gatepass: write gatepass doctor [folder] [--url http://localhost:3000/]')
    return MISUSED
  }
  const project = readProject(request.folder)
  if ('mistake' in project) {
    output.err(`gatepass: ${project.mistake}`)
    return FAILED
  }
  const symptoms = [...examineProject(project), ...(request.url === undefined ? [] : await askServer(request.url))]
  for (const symptom of symptoms) output.out(line(symptom))
  const faults = symptoms.filter(({ grade }) => grade === 'fault').length
  const remarks = symptoms.length - faults
  output.out(
    symptoms.length === 0 ? 'Nothing to find fault with.' : `\n${count(faults, 'fault')}, ${count(remarks, 'remark')}`,
  )
  return faults === 0 ? DONE : FAILED
}

function line({ grade, where, what, advice }: Symptom): string {
  return `${grade === 'fault' ? 'FAULT ' : 'look at'} ${where}: ${what}\n        ${advice}`
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}

function readRequest(args: readonly string[]): { folder: string; url: URL | undefined } | undefined {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { url: { type: 'string' } },
    })
    const url = values.url === undefined ? undefined : new URL(values.url)
    const isHttp = url === undefined || url.protocol === 'http:' || url.protocol === 'https:'
    return positionals.length > 1 || !isHttp ? undefined : { folder: resolve(positionals[0] ?? '.'), url }
  } catch {
    return undefined
  }
}
