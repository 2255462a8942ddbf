/** Something that a checkup found. A `fault` breaks logins or opens them to others; a `remark` is for a person to judge. */
export interface Symptom {
  readonly grade: 'fault' | 'remark'
  readonly where: string
  readonly what: string
  readonly advice: string
}

export function fault(where: string, what: string, advice: string): Symptom {
  return { grade: 'fault', where, what, advice }
}

export function remark(where: string, what: string, advice: string): Symptom {
  return { grade: 'remark', where, what, advice }
}
