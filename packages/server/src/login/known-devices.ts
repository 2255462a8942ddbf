import { randomBytes } from 'node:crypto'
import { type Cookie, type Exchange, sealedCookie } from 'gatepass'
import { type Keys, Pseudonyms } from '../settings/secrets.ts'

interface Device {
  readonly id: string
  /** Pseudonym of the account that was last logged in here. */
  readonly account: string
}

const HALF_A_YEAR = 180 * 86_400

/** Recognises browsers of an account's owner, so that strangers who guess do not lock the owner out. */
export class KnownDevices {
  readonly #overHttps: Cookie<Device>
  readonly #onThisMachine: Cookie<Device>
  readonly #accountNames: Pseudonyms

  constructor(keys: Keys) {
    this.#accountNames = new Pseudonyms(keys, 'account')
    const description = 'Recognises this browser when a stranger tries to guess your password.'
    const attributes = { keys, maxAge: HALF_A_YEAR, description }
    this.#overHttps = sealedCookie('__Host-gp-dev', { ...attributes, secure: true })
    this.#onThisMachine = sealedCookie('gp-dev', { ...attributes, secure: false })
  }

  #cookieOf({ secure }: Exchange): Cookie<Device> {
    return secure ? this.#overHttps : this.#onThisMachine
  }

  /** This browser's id, if this account was logged in here. @param account its e-mail address as a key */
  find(exchange: Exchange, account: string): string | undefined {
    const device = exchange.cookies.get(this.#cookieOf(exchange))
    if (typeof device?.id !== 'string' || typeof device.account !== 'string') return undefined
    return this.#accountNames.isOf(device.account, account) ? device.id : undefined
  }

  /** Call it after a login. */
  remember(exchange: Exchange, account: string): void {
    const id = this.find(exchange, account) ?? randomBytes(16).toString('base64url')
    exchange.cookies.set(this.#cookieOf(exchange), { id, account: this.#accountNames.of(account) })
  }
}
