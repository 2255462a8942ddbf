import { GatepassError } from '../../error.ts'

/** What one strategy gave as its reason to refuse. */
export interface Refusal {
  readonly strategy: string
  readonly challenge: unknown
  readonly status: number | undefined
}

/** Nobody was authenticated, and `failWithError` asked for an error instead of an answer. */
export class AuthenticationError extends GatepassError {
  override readonly name = 'AuthenticationError'
  /** What each strategy said, in the order of asking. */
  readonly refusals: readonly Refusal[]

  constructor(message: string, status: number | undefined, refusals: readonly Refusal[]) {
    super('ERR_LOGIN_REFUSED', message, status || 401, { hint: 'What each strategy said is in `refusals`.' })
    this.refusals = refusals
  }
}
