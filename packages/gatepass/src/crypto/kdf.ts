import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { Worker } from 'node:worker_threads'
import { poolKdfs } from './kdf-functions.ts'

/** One computation of Argon2 version 1.3 (RFC 9106). */
export interface Argon2Work {
  readonly variant: 'argon2id' | 'argon2i' | 'argon2d'
  readonly password: Uint8Array
  readonly salt: Uint8Array
  /** Memory in KiB. */
  readonly memory: number
  readonly passes: number
  readonly lanes: number
  readonly tagLength: number
}

/** One computation of scrypt (RFC 7914); `rounds` is N, a power of two. */
export interface ScryptWork {
  readonly password: Uint8Array
  readonly salt: Uint8Array
  readonly rounds: number
  readonly blockSize: number
  readonly lanes: number
  readonly tagLength: number
}

/** One computation of PBKDF2 (RFC 8018 §5.2). */
export interface Pbkdf2Work {
  readonly digest: 'sha1' | 'sha256' | 'sha512'
  readonly password: Uint8Array
  readonly salt: Uint8Array
  readonly iterations: number
  readonly tagLength: number
}

/** The password hashing functions of this installation. None of them computes on the main thread. */
export interface Kdfs {
  /** `undefined` without `@node-rs/argon2` on a Node.js older than 24.7. */
  readonly argon2: ((work: Argon2Work) => Promise<Uint8Array>) | undefined
  /** `undefined` without `@node-rs/bcrypt`. */
  readonly bcrypt: ((password: Uint8Array, hash: string) => Promise<boolean>) | undefined
  readonly scrypt: (work: ScryptWork) => Promise<Uint8Array>
  readonly pbkdf2: (work: Pbkdf2Work) => Promise<Uint8Array>
}

/** Returns the password hashing functions of this installation. It looks for them once, at the first call. */
export function installedKdfs(): Kdfs {
  installed ??= onThreads(poolKdfs())
  return installed
}
let installed: Kdfs | undefined

/** A computation for a thread. */
export type Job =
  | { readonly name: 'argon2'; readonly work: Argon2Work }
  | { readonly name: 'bcrypt'; readonly work: { readonly password: Uint8Array; readonly hash: string } }
  | { readonly name: 'scrypt'; readonly work: ScryptWork }
  | { readonly name: 'pbkdf2'; readonly work: Pbkdf2Work }

/** A thread's answer to a job. */
export type Answer = { readonly value: Uint8Array | boolean } | { readonly error: unknown }

/**
 * Computes the functions of `pool` on threads with a lower priority than the main thread. On Node's own pool a hash has the
 * same priority as requests, which then wait for a core: in the bench, `passwords`, their p99 at 20 logins a second is 3.6
 * times that of a quiet server, on these threads 1.5 times. If the threads fail, `pool` computes the job.
 */
export function onThreads(pool: Kdfs, threads: Threads = new Threads()): Kdfs {
  const { argon2, bcrypt, scrypt, pbkdf2 } = pool
  return {
    argon2: argon2 && ((work) => threads.run({ name: 'argon2', work }, () => argon2(work))),
    bcrypt:
      bcrypt &&
      ((password, hash) => threads.run({ name: 'bcrypt', work: { password, hash } }, () => bcrypt(password, hash))),
    scrypt: (work) => threads.run({ name: 'scrypt', work }, () => scrypt(work)),
    pbkdf2: (work) => threads.run({ name: 'pbkdf2', work }, () => pbkdf2(work)),
  }
}

/** Keeps one thread per simultaneous job; the password queue limits their number. A minute without jobs ends the threads. */
export class Threads {
  readonly #file: () => URL
  readonly #idle: Thread[] = []
  #startable = true
  #ending: NodeJS.Timeout | undefined

  /** @param file returns the file that each thread runs; it may throw if there is none */
  constructor(file: () => URL = threadFile) {
    this.#file = file
  }

  /** Runs `job` on a thread; falls back to `otherwise()` if no thread starts or it dies. */
  async run<Value extends Uint8Array | boolean>(job: Job, otherwise: () => Promise<Value>): Promise<Value> {
    const thread = this.#idle.pop() ?? this.#start()
    const answer = await thread?.ask(job)
    if (thread === undefined || answer === undefined) {
      // If this thread never answered, another would not either: its file was not bundled, or threads are forbidden.
      if (!thread?.proven) this.#startable = false
      return otherwise()
    }
    this.#idle.push(thread)
    clearTimeout(this.#ending)
    this.#ending = setTimeout(() => this.end(), IDLE_MS).unref()
    if ('error' in answer) throw answer.error
    return answer.value as Value
  }

  /** Ends the threads that have no job. */
  end(): void {
    for (const thread of this.#idle.splice(0)) thread.end()
  }

  #start(): Thread | undefined {
    if (!this.#startable) return undefined
    try {
      return new Thread(this.#file())
    } catch {
      return undefined
    }
  }
}

const IDLE_MS = 60_000

// TypeScript in the repository, JavaScript in the installed package.
function threadFile(): URL {
  return new URL(import.meta.url.endsWith('.ts') ? './kdf-thread.ts' : './kdf-thread.js', import.meta.url)
}

/** One thread, which gets one job at a time. It keeps the process alive only while it has a job. */
class Thread {
  readonly #worker: Worker
  #settle: (answer: Answer | undefined) => void = () => {}
  #ended = false
  /** Whether the thread has ever answered. */
  proven = false

  constructor(file: URL) {
    // Without the flags and NODE_OPTIONS of the process, so that `--import` (instrumentation, for example) loads nothing here.
    this.#worker = new Worker(file, { execArgv: [], env: {}, resourceLimits: HEAP })
    this.#worker.unref()
    this.#worker.on('message', (answer: Answer) => {
      this.proven = true
      this.#worker.unref()
      this.#settle(answer)
    })
    // 'exit' follows and is handled. Without a listener, 'error' would end the process.
    this.#worker.on('error', () => {})
    this.#worker.on('exit', () => {
      this.#ended = true
      this.#settle(undefined)
    })
  }

  /** `undefined` if the thread ends before it answers. */
  async ask({ name, work }: Job): Promise<Answer | undefined> {
    if (this.#ended) return undefined
    const { promise, resolve } = Promise.withResolvers<Answer | undefined>()
    this.#settle = resolve
    this.#worker.ref()
    // Small Buffers share one ArrayBuffer, which would be copied to the thread as a whole.
    const alone: Record<string, unknown> = { ...work }
    for (const [member, value] of Object.entries(work)) {
      if (value instanceof Uint8Array) alone[member] = new Uint8Array(value)
    }
    this.#worker.postMessage({ name, work: alone })
    return promise
  }

  end(): void {
    void this.#worker.terminate()
  }
}

// Small, because hashing allocates its memory outside the heap.
const HEAP = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4 }

/** Makes `length` unpredictable bytes. */
export function randomSalt(length: number): Uint8Array {
  return randomBytes(length)
}

/** HMAC-SHA-256 of `tag` (RFC 2104). */
export function keyedTag(key: string, tag: Uint8Array): Uint8Array {
  return createHmac('sha256', key).update(tag).digest()
}

/** Whether two tags are equal. The time depends only on their lengths. */
export function equalTags(a: Uint8Array, b: Uint8Array): boolean {
  return a.byteLength === b.byteLength && timingSafeEqual(a, b)
}
