export interface Person {
  readonly id: string
  readonly name: string
}

export const ada: Person = { id: '1', name: 'ada' }
export const SECRET = 'a secret for tokens'
