import { examineProject } from './examine.ts'
import type { Project } from './project.ts'
import { askServer } from './running-server.ts'

/** Prints what is wrong, or could be, with an application and its running server; returns the exit code. */
export async function doctor(project: Project, url?: URL): Promise<0 | 1> {
  const symptoms = [...examineProject(project), ...(url === undefined ? [] : await askServer(url))]
  for (const { grade, where, what, advice } of symptoms)
    console.log(`${grade === 'fault' ? 'FAULT ' : 'look at'} ${where}: ${what}\n        ${advice}`)
  const faults = symptoms.filter(({ grade }) => grade === 'fault').length
  const remarks = symptoms.length - faults
  if (symptoms.length === 0) console.log('Nothing to find fault with.')
  else console.log(`\n${count(faults, 'fault')}, ${count(remarks, 'remark')}`)
  return faults === 0 ? 0 : 1
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}
