/** The faults of a pretend provider, with their descriptions on its page. */
export const faults = {
  'access-denied': 'The person says no',
  'server-error': 'The provider says that it is broken',
  slow: 'Answers take longer than any application waits',
  down: 'Servers get no answer but 503',
  expired: 'The token has expired',
  'wrong-audience': 'The token is for another application',
  'wrong-issuer': 'The token is another issuer’s',
  'wrong-nonce': 'The token belongs to another login',
  'bad-signature': 'The token is not signed by the provider',
  'unverified-email': 'The e-mail address is not verified',
} as const

/** A fault of a pretend provider. */
export type Fault = keyof typeof faults

/** The faults that a provider without ID tokens can have. */
export const plainFaults = ['access-denied', 'server-error', 'slow', 'down', 'expired', 'wrong-audience'] as const

/** A fault of a provider without ID tokens. */
export type PlainFault = (typeof plainFaults)[number]

/** Delay of a slow provider in milliseconds: a second more than Gatepass waits. */
const SLOWNESS = 6000

/** The fault of the next login. */
export class NextFault<Kind extends Fault> {
  #fault: Kind | undefined
  readonly kinds: readonly Kind[]

  constructor(kinds: readonly Kind[]) {
    this.kinds = kinds
  }

  get now(): Kind | undefined {
    return this.#fault
  }

  set(fault: Kind | undefined): void {
    this.#fault = fault
  }

  /**
   * The error that an application gets instead of a code. The `fault` of the submitted form overrides the one that was set;
   * an empty one removes it.
   */
  refusal(form: URLSearchParams): 'access_denied' | 'server_error' | undefined {
    const chosen = form.get('fault')
    if (chosen !== null) this.#fault = this.kinds.find((kind) => kind === chosen)
    const fault = form.has('cancel') ? 'access-denied' : this.#fault
    if (fault !== 'access-denied' && fault !== 'server-error') return undefined
    this.take()
    return fault === 'access-denied' ? 'access_denied' : 'server_error'
  }

  /** Returns the current fault and removes it. */
  take(): Kind | undefined {
    const fault = this.#fault
    this.#fault = undefined
    return fault
  }

  /**
   * Runs before a server request to the provider. Waits if the provider is slow.
   *
   * @param last whether the request is the last one of a login, which ends the fault
   * @returns whether the provider is down
   */
  async hinders({ last }: { last: boolean }): Promise<boolean> {
    const fault = this.#fault
    if (fault !== 'slow' && fault !== 'down') return false
    if (last) this.take()
    if (fault === 'slow') await new Promise<void>((resolve) => setTimeout(resolve, SLOWNESS).unref())
    return fault === 'down'
  }
}
