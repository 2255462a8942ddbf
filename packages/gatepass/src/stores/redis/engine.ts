import { StoreError } from '../../error.ts'
import { type Failure, storeError } from '../../session/guarded-store.ts'
import { Circuit } from '../circuit.ts'
import { reasonOf } from '../failure.ts'
import { TimeLimit, tooLate } from '../time-limit.ts'
import type { Topology } from './client.ts'
import { FOREIGN } from './record.ts'
import { type Operation, script, scriptName } from './script.ts'

/** A reply of the script. */
export type Reply = string | number | readonly string[]

export interface EngineOptions {
  readonly topology: Topology
  /** Seconds that a command may take. */
  readonly timeout: number
  /** Settles when the store's own client has connected for the first time. */
  readonly connecting?: Promise<unknown> | undefined
}

/** A script, and the name under which the server knows it: the SHA-1 of its text. */
export interface Script {
  readonly text: string
  readonly name: string
}

const steps: Script = { text: script, name: scriptName }

/** Sends commands to Redis, and turns every failure into a {@link StoreError}. */
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

  /** Runs one step of the script on one key. A second key is allowed only where `together` is true. */
  run(operation: Operation, keys: readonly string[], args: readonly (string | number)[]): Promise<Reply> {
    return this.evaluate(steps, keys, [operation, ...args])
  }

  /** Runs a script on keys of one group. */
  async evaluate(script: Script, keys: readonly string[], args: readonly (string | number)[]): Promise<Reply> {
    const rest = [String(keys.length), ...keys, ...args.map(String)]
    const [key = ''] = keys
    return (await this.#ask(key, (signal) => this.#eval(script, { key, rest, signal }))) as Reply
  }

  /** Sends one command on keys of one group. */
  command(key: string, args: string[]): Promise<unknown> {
    return this.#ask(key, (signal) => this.topology.send(key, args, signal))
  }

  /** The values of keys of one group. Keys without a value are left out. */
  async get(keys: readonly string[]): Promise<Map<string, string>> {
    const [key = ''] = keys
    const reply = keys.length > 1 ? await this.command(key, ['MGET', ...keys]) : [await this.command(key, ['GET', key])]
    const values = reply as (string | null)[]
    const found = new Map<string, string>()
    for (const [n, value] of values.entries()) if (value !== null) found.set(keys[n] ?? key, value)
    return found
  }

  /** The fields of a hash, each followed by its value. */
  async fields(key: string): Promise<readonly string[]> {
    return flat(await this.command(key, ['HGETALL', key]))
  }

  async #eval(
    { name, text }: Script,
    { key, rest, signal }: { key: string; rest: readonly string[]; signal: AbortSignal },
  ): Promise<unknown> {
    try {
      return await this.topology.send(key, ['EVALSHA', name, ...rest], signal)
    } catch (error) {
      // The server has not loaded the script since it started, and has done nothing.
      if (!messageOf(error).startsWith('NOSCRIPT')) throw error
      return await this.topology.send(key, ['EVAL', text, ...rest], signal)
    }
  }

  async #ask(key: string, send: (signal: AbortSignal) => Promise<unknown>): Promise<unknown> {
    const server = this.topology.serverOf(key)
    const connecting = this.topology.isReady ? undefined : this.#connecting
    // Fails at once and does not wait in a queue: a flood of requests would wait there, too.
    if (!this.topology.isReady && connecting === undefined) throw this.#notConnected(server)
    const circuit = this.#circuitOf(server)
    const admitted = this.#admit(server, circuit)
    const name = this.topology.nameOf(server)
    const withdrawal = new AbortController()
    const limit = new TimeLimit(this.#timeout, () =>
      this.topology.isReady ? tooLate(name, this.#timeout, UNACKNOWLEDGED) : this.#notConnected(server),
    )
    try {
      if (connecting !== undefined) await limit.race(connecting)
      const reply = send(withdrawal.signal)
      // An answer that is too late for this command still shows that the server is alive.
      reply.then(
        () => circuit.answered(),
        (error) => {
          if (!gaveUp(error)) circuit.answered()
        },
      )
      return await limit.race(reply)
    } catch (error) {
      if (limit.passed || gaveUp(error)) circuit.silent(admitted)
      // The client withdraws a command only if it is not written yet; its own `timeout` does no more.
      if (limit.passed) withdrawal.abort()
      throw storeError(error, () => failureOf(error, name))
    } finally {
      limit.end()
    }
  }

  #circuitOf(server: string): Circuit {
    const circuit = this.#circuits.get(server) ?? new Circuit(this.topology.nameOf(server), this.#timeout)
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

  #notConnected(server: string): StoreError {
    const cause = this.topology.lastError()
    const reason = cause === undefined ? 'it is not connected' : reasonOf(cause)
    return new StoreError('ERR_STORE_UNAVAILABLE', `${this.topology.nameOf(server)} cannot be reached: ${reason}`, {
      hint: 'Nothing was sent. Look whether it runs, at its address, and whether the client has been told to connect.',
      cause,
    })
  }
}

/** Whether the client withdrew a command that was not sent. */
function gaveUp(error: unknown): boolean {
  return error instanceof Error && /^(Timeout|Abort)Error$/.test(error.constructor.name)
}

/** RESP2 has lists. RESP3 has maps, which the client turns into objects. */
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

/** A server that does not know a command quotes its arguments, which may be the data of a session. */
function withoutArguments(error: unknown): unknown {
  const quoted = /,? with args beginning with:.*/s
  if (!(error instanceof Error) || !quoted.test(error.message)) return error
  return Object.assign(error, { message: error.message.replace(quoted, ''), stack: error.stack?.replace(quoted, '') })
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : ''
}
