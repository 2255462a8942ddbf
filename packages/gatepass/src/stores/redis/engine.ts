import { StoreError } from '../../error.ts'
import { type Failure, storeError } from '../../session/guarded-store.ts'
import { Circuit } from '../circuit.ts'
import { reasonOf } from '../failure.ts'
import type { Topology } from './client.ts'
import { FOREIGN } from './record.ts'
import { type Operation, script, scriptName } from './script.ts'

/** A reply as the script gives it. */
export type Reply = string | number | readonly string[]

export interface EngineOptions {
  readonly topology: Topology
  /** Milliseconds that a command may take. */
  readonly timeout: number
  /** The first connection of a client of our own, until it is there. */
  readonly connecting?: Promise<unknown> | undefined
}

/** Sends commands to the engine, and turns every failure into a {@link StoreError}. */
export class Engine {
  readonly topology: Topology
  readonly #timeout: number
  /** One for each server. */
  readonly #circuits = new Map<string, Circuit>()
  #connecting: Promise<unknown> | undefined

  constructor({ topology, timeout, connecting }: EngineOptions) {
    this.topology = topology
    this.#timeout = timeout
    this.#connecting = connecting?.then(() => {
      this.#connecting = undefined
      this.#circuits.clear()
    })
  }

  /** Does one step on one key; with a second key only where keys are together. */
  async run(operation: Operation, keys: readonly string[], args: readonly (string | number)[]): Promise<Reply> {
    const rest = [String(keys.length), ...keys, operation, ...args.map(String)]
    const [key = ''] = keys
    return (await this.#ask(key, (signal) => this.#eval(key, rest, signal))) as Reply
  }

  /** The values of keys of one group, without those that have none. */
  async get(keys: readonly string[]): Promise<Map<string, string>> {
    const [key = ''] = keys
    const reply = keys.length > 1 ? await this.#send(key, ['MGET', ...keys]) : [await this.#send(key, ['GET', key])]
    const values = reply as (string | null)[]
    const found = new Map<string, string>()
    for (const [n, value] of values.entries()) if (value !== null) found.set(keys[n] ?? key, value)
    return found
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
    const server = this.topology.serverOf(key)
    const { isReady } = this.topology
    const connecting = isReady ? undefined : this.#connecting
    // Fails at once rather than waiting in a queue: a flood of requests would wait there with it.
    if (!isReady && connecting === undefined) throw this.#notConnected(server)
    const circuit = this.#circuitOf(server)
    const admitted = this.#admit(server, circuit)
    const sending = connecting === undefined ? send : afterwards(connecting, send)
    try {
      return await this.#withinTime(server, { circuit, admitted }, sending)
    } catch (error) {
      throw storeError(error, () => failureOf(error, this.topology.nameOf(server)))
    }
  }

  #circuitOf(server: string): Circuit {
    let circuit = this.#circuits.get(server)
    if (circuit !== undefined) return circuit
    circuit = new Circuit(this.topology.nameOf(server), this.#timeout)
    this.#circuits.set(server, circuit)
    return circuit
  }

  #admit(server: string, circuit: Circuit): number {
    try {
      return circuit.admit()
    } catch (error) {
      throw this.topology.isReady ? error : this.#notConnected(server)
    }
  }

  #withinTime(
    server: string,
    { circuit, admitted }: { circuit: Circuit; admitted: number },
    send: (signal: AbortSignal) => Promise<unknown>,
  ): Promise<unknown> {
    // Not AbortSignal.timeout, nor the client's own `timeout`: either costs as much as half a dozen lookups.
    const withdrawal = new AbortController()
    const reply = send(withdrawal.signal)
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        circuit.silent(admitted)
        withdrawal.abort()
        reject(this.topology.isReady ? this.#tooLate(server) : this.#notConnected(server))
      }, this.#timeout)
      const heard = (settle: () => void) => {
        clearTimeout(timer)
        circuit.answered()
        settle()
      }
      reply.then(
        (value) => heard(() => resolve(value)),
        // The client took the command back unsent: that is no sign of life, and the timer says the rest.
        (error) => (gaveUp(error) ? reject(error) : heard(() => reject(error))),
      )
    })
  }

  #tooLate(server: string): StoreError {
    const time = `${this.#timeout / 1000} s`
    const message = `${this.topology.nameOf(server)} did not answer within ${time}`
    return new StoreError('ERR_STORE_UNAVAILABLE', message, { hint: UNACKNOWLEDGED })
  }

  #notConnected(server: string): StoreError {
    const cause = this.topology.lastError()
    const reason = cause === undefined ? 'it is not connected' : reasonOf(cause)
    return new StoreError('ERR_STORE_UNAVAILABLE', `${this.topology.nameOf(server)} cannot be reached: ${reason}`, {
      hint: 'Nothing was sent. Look whether it runs, at its address, and whether the client has been told to connect.',
      cause,
    })
  }
}

function afterwards(
  connecting: Promise<unknown>,
  send: (signal: AbortSignal) => Promise<unknown>,
): (signal: AbortSignal) => Promise<unknown> {
  return async (signal) => {
    await connecting
    return send(signal)
  }
}

function gaveUp(error: unknown): boolean {
  return error instanceof Error && /^(Timeout|Abort)Error$/.test(error.constructor.name)
}

/** RESP3 has maps, RESP2 lists; the client makes an object of the former. */
function flat(reply: unknown): readonly string[] {
  if (Array.isArray(reply)) return reply as string[]
  if (reply instanceof Map) return [...(reply as Map<string, string>)].flat()
  return Object.entries((reply ?? {}) as Record<string, string>).flat()
}

function failureOf(error: unknown, engine: string): Failure {
  const message = messageOf(error)
  if (/\bOOM\b/.test(message)) {
    const hint =
      'Raise `maxmemory`. Never change `maxmemory-policy` from noeviction: it would log people out at random.'
    return { code: 'ERR_STORE_FULL', message: `${engine} has no memory left`, hint }
  }
  if (message.includes('GATEPASS_FORMAT') || message.startsWith('WRONGTYPE')) return FOREIGN
  const [, word] = /^([A-Z]{3,}) /.exec(message) ?? []
  const what = word === undefined ? `cannot be reached: ${reasonOf(error)}` : `answered with ${word}`
  return { message: `${engine} ${what}`, hint: UNACKNOWLEDGED, cause: withoutArguments(error) }
}

const UNACKNOWLEDGED = 'Nothing was acknowledged, though a write may have happened. The request can be repeated.'

/** A server that does not know a command quotes what came with it, and that may be what the application keeps in a session. */
function withoutArguments(error: unknown): unknown {
  const quoted = /,? with args beginning with:.*/s
  if (!(error instanceof Error) || !quoted.test(error.message)) return error
  return Object.assign(error, { message: error.message.replace(quoted, ''), stack: error.stack?.replace(quoted, '') })
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : ''
}
