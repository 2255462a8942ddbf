/** Somebody who can log in at a pretend provider; nobody has a password. */
export interface Person {
  /** What applications know them by (`sub`); it never changes hands. */
  readonly id: string
  readonly name: string
  /** Left out: they have none, or do not give it. */
  readonly email?: string
  /** Whether the provider has seen that the mailbox is theirs. Default true. */
  readonly emailVerified?: boolean
  /** At Google: the organisation that the account belongs to (`hd`). */
  readonly hostedDomain?: string
}

/** Of each kind one: a mailbox that Google runs, one of an organisation, one from elsewhere, and somebody else's. */
export const people: readonly Person[] = [
  { id: '101', name: 'Ada Lovelace', email: 'ada.lovelace@gmail.com' },
  { id: '102', name: 'Grace Hopper', email: 'grace@navy.example', hostedDomain: 'navy.example' },
  { id: '103', name: 'Alan Turing', email: 'alan@bletchley.example' },
  { id: '104', name: 'Mallory', email: 'ada.lovelace@gmail.com', emailVerified: false },
  { id: '105', name: 'Nemo' },
]
