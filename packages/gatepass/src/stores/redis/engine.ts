import { GatepassError, StoreError } from '../../error.ts'
import type { Topology } from './client.ts'
import { foreign } from './record.ts'
import { type Operation, script, scriptName } from './script.ts'

/** A reply as the script gives it. */
export type Reply = string | number | readonly string[]

/** Asks the engine, and makes of whatever goes wrong a {@link StoreError}. */
export class Engine {
  readonly topology: Topology
  readonly #timeout: number
  /** Servers that have left a command without a reply, and when the next may try them. */
  readonly #silent = new Map<string, number>()

  /** @param timeout milliseconds that a command may take */
  constructor(topology: Topology, timeout: number) {
    this.topology = topology
    this.#timeout = timeout
  }

  /** Does one step on one key; with a second key only where keys are together. */
  async run(operation: Operation, keys: readonly string[], args: readonly (string | number)[]): Promise<Reply> {
    const rest = [String(keys.length), ...keys, operation, ...args.map(String)]
    const [key = ''] = keys
    return (await this.#ask(key, (signal) => this.#eval(key, rest, signal))) as Reply
  }

  /** The values of keys of one group, null where there is none. */
  async get(keys: readonly string[]): Promise<readonly (string | null)[]> {
    const [key = ''] = keys
    if (keys.length > 1) return (await this.#send(key, ['MGET', ...keys])) as (string | null)[]
    return [(await this.#send(key, ['GET', key])) as string | null]
  }

  /** The fields of a hash and their values, in turn. */
  async fields(key: string): Promise<readonly string[]> {
    return flat(await this.#send(key, ['HGETALL', key]))
  }

  async #eval(key: string, rest: readonly string[], signal: AbortSignal): Promise<unknown> {
    try {
      return await this.topology.send(key, ['EVALSHA', scriptName, ...rest], signal)
    } catch (error) {
      // Refused before anything was done: the server was restarted, or never asked before.
      if (messageOf(error).startsWith('NOSCRIPT'))
        return await this.topology.send(key, ['EVAL', script, ...rest], signal)
      throw error
    }
  }

  #send(key: string, args: string[]): Promise<unknown> {
    return this.#ask(key, (signal) => this.topology.send(key, args, signal))
  }

  async #ask(key: string, send: (signal: AbortSignal) => Promise<unknown>): Promise<unknown> {
    // Fails at once rather than waiting in a queue: a flood of requests would wait there with it.
    if (!this.topology.isReady) throw unavailable('The session store is not connected')
    const server = this.topology.serverOf(key)
    this.#admit(server)
    try {
      return await this.#withinTime(server, send)
    } catch (error) {
      throw storeError(error)
    }
  }

  /** While a server is silent, one command at a time finds out whether it still is. */
  #admit(server: string): void {
    const next = this.#silent.get(server)
    if (next === undefined) return
    if (performance.now() < next) throw unavailable('The session store does not answer')
    this.#silent.set(server, performance.now() + this.#timeout)
  }

  #withinTime(server: string, send: (signal: AbortSignal) => Promise<unknown>): Promise<unknown> {
    // Not AbortSignal.timeout, nor the client's own `timeout`: either costs as much as half a dozen lookups.
    const withdrawal = new AbortController()
    const reply = send(withdrawal.signal)
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#silent.set(server, performance.now() + this.#timeout)
        withdrawal.abort()
        reject(unavailable('The session store did not answer in time'))
      }, this.#timeout)
      const heard = (settle: () => void) => {
        clearTimeout(timer)
        this.#silent.delete(server)
        settle()
      }
      reply.then(
        (value) => heard(() => resolve(value)),
        (error) => (gaveUp(error) ? reject(error) : heard(() => reject(error))),
      )
    })
  }
}

/** The client took the command back unsent: that is no sign of life, and the timer says the rest. */
function gaveUp(error: unknown): boolean {
  return error instanceof Error && /^(Timeout|Abort)Error$/.test(error.constructor.name)
}

/** RESP3 has maps, RESP2 lists; the client makes an object of the former. */
function flat(reply: unknown): readonly string[] {
  if (Array.isArray(reply)) return reply as string[]
  if (reply instanceof Map) return [...(reply as Map<string, string>)].flat()
  return Object.entries((reply ?? {}) as Record<string, string>).flat()
}

function storeError(error: unknown): GatepassError {
  if (error instanceof GatepassError) return error
  const message = messageOf(error)
  if (/\bOOM\b/.test(message)) return full(error)
  if (message.includes('GATEPASS_FORMAT') || message.startsWith('WRONGTYPE')) return foreign(error)
  return unavailable('The session store did not do its work', error)
}

function full(cause: unknown): StoreError {
  return new StoreError('ERR_STORE_FULL', 'The session store has no memory left', {
    hint: 'Raise `maxmemory`. Never change `maxmemory-policy` from noeviction: it would log people out at random.',
    cause,
  })
}

function unavailable(message: string, cause?: unknown): StoreError {
  return new StoreError('ERR_STORE_UNAVAILABLE', message, {
    hint: 'Nothing was acknowledged, though a write may have happened. The request can be repeated.',
    cause,
  })
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : ''
}
