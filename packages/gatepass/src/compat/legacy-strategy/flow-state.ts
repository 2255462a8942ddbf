import type { LoginFlow } from '../../passport/strategy.ts'
import type { LegacyStrategy } from '../passport/ask.ts'
import type { Done } from '../passport/promises.ts'
import { checksNoState } from '../passport/state-warning.ts'

/** Ten minutes to log in at the provider. */
const LIFETIME = 600

interface Remembered {
  readonly verifier: string | undefined
  /** What the application wants back; it is never shown to the provider. */
  readonly state: unknown
}

/**
 * What a strategy of passport-oauth2 gets in place of a store that checks nothing: a login flow, whose handle is the
 * `state` and which keeps the PKCE verifier. Any number of tabs may be on their way.
 */
export function flowState(
  strategy: LegacyStrategy,
  flow: LoginFlow,
  options: { state?: unknown },
): Record<string, unknown> | undefined {
  if (!checksNoState(strategy)) return undefined
  const { state } = options
  delete options.state
  return { _pkceMethod: 'S256', _stateStore: { store: storing(flow, state), verify: verifying(flow) } }
}

type Store = (...args: unknown[]) => void

/** `(req, verifier, state, meta, done)`; older versions know neither verifier nor state, nor how many we name. */
function storing(flow: LoginFlow, state: unknown): Store {
  const store: Store = (...args) => {
    const done = args.at(-1) as Done
    const verifier = args.length === 5 ? (args[1] as string | undefined) : undefined
    flow.start({ verifier, state } satisfies Remembered, LIFETIME).then((handle) => done(null, handle), done)
  }
  return Object.defineProperty(store, 'length', { value: 5 })
}

function verifying(flow: LoginFlow): Store {
  return (...args) => {
    const done = args.at(-1) as Done
    const found = typeof args[1] === 'string' ? flow.finish<Remembered>(args[1]) : Promise.resolve(undefined)
    found.then((remembered) => {
      if (remembered === undefined) done(null, false, unknownState)
      else done(null, remembered.verifier ?? true, remembered.state)
    }, done)
  }
}

const unknownState = { message: 'This login was not begun in this browser, or it took too long. Please try again.' }
