import { dataText } from '../../session/changes.ts'

/** How a session came about, which its data does not say. */
interface Origin {
  readonly isNew: boolean
  /** The cookie's value as it was sent. */
  readonly sent: string | undefined
  /** Puts an empty session into the place of this one. */
  readonly renew: () => void
}

type Callback = (error?: unknown) => void

/** `req.session`: its own properties are the data, and nothing else is enumerable. */
export class CookieSession {
  [name: string]: unknown
  readonly #origin: Origin

  constructor(origin: Origin, data: object = {}) {
    this.#origin = origin
    for (const [name, value] of Object.entries(data)) {
      // What Passport calls is no reason to lose data of that name.
      if (!(name in this) || added.has(name)) Reflect.defineProperty(this, name, { value, ...plain })
    }
  }

  get isNew(): boolean {
    return this.#origin.isNew
  }

  get isChanged(): boolean {
    return this.#origin.isNew || this.#origin.sent !== serialized(this)
  }

  get isPopulated(): boolean {
    return Object.keys(this).length > 0
  }

  /** Empties the session: Passport asks for it at login and logout, and other frameworks' sessions have it. */
  regenerate(callback?: Callback): Promise<void> {
    this.#origin.renew()
    callback?.()
    return Promise.resolve()
  }

  /** Nothing to do: the response will bring the session to the browser. */
  save(callback?: Callback): Promise<void> {
    callback?.()
    return Promise.resolve()
  }
}

const added: ReadonlySet<string> = new Set(['regenerate', 'save'])
const plain = { configurable: true, enumerable: true, writable: true }

/**
 * The data of a session as a cookie's value: JSON in base64.
 *
 * @throws {UsageError} `ERR_SESSION_DATA`
 */
export function serialized(session: CookieSession): string {
  return Buffer.from(dataText(session)).toString('base64')
}

/** What a cookie's value holds; `undefined` if it is no session. */
export function deserialized(value: string): object | undefined {
  try {
    return Object(JSON.parse(Buffer.from(value, 'base64').toString('utf8')))
  } catch {
    return undefined
  }
}
