/** A user of a pretend provider. Users have no passwords. */
export interface Person {
  /** The subject (`sub`), which never belongs to another user. */
  readonly id: string
  readonly name: string
  /** Left out if the user has no address or does not share it. */
  readonly email?: string
  /** Whether the provider has verified that the mailbox belongs to the user. Default true. */
  readonly emailVerified?: boolean
  /** At Google: the organisation that the account belongs to (`hd`). */
  readonly hostedDomain?: string
}

/** One user of each kind: a mailbox at Google, one of an organisation, one elsewhere, and an unverified one. */
export const people: readonly Person[] = [
  { id: '101', name: 'Ada Lovelace', email: 'ada.lovelace@gmail.com' },
  { id: '102', name: 'Grace Hopper', email: 'grace@navy.example', hostedDomain: 'navy.example' },
  { id: '103', name: 'Alan Turing', email: 'alan@bletchley.example' },
  { id: '104', name: 'Mallory', email: 'ada.lovelace@gmail.com', emailVerified: false },
  { id: '105', name: 'Nemo' },
]
