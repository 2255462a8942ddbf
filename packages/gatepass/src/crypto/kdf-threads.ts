import { Worker } from 'node:worker_threads'
import type { Argon2Work, Kdfs, Pbkdf2Work, ScryptWork } from './kdf.ts'

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
 * same priority as requests, which then wait for a core. If the threads fail, `pool` computes the job.
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
    this.#rest(thread)
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

  #rest(thread: Thread): void {
    this.#idle.push(thread)
    clearTimeout(this.#ending)
    this.#ending = setTimeout(() => this.end(), IDLE_MS).unref()
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
  #settle: ((answer: Answer | undefined) => void) | undefined
  #proven = false
  #ended = false

  constructor(file: URL) {
    // Without the flags and NODE_OPTIONS of the process, so that `--import` (instrumentation, for example) loads nothing here.
    this.#worker = new Worker(file, { execArgv: [], env: {}, resourceLimits: HEAP })
    this.#worker.unref()
    this.#worker.on('message', (answer: Answer) => this.#answer(answer))
    // 'exit' follows and is handled. Without a listener, 'error' would end the process.
    this.#worker.on('error', () => {})
    this.#worker.on('exit', () => this.#exit())
  }

  /** `undefined` if the thread ends before it answers. */
  ask(job: Job): Promise<Answer | undefined> {
    if (this.#ended) return Promise.resolve(undefined)
    this.#worker.ref()
    return new Promise((resolve) => {
      this.#settle = resolve
      this.#worker.postMessage(alone(job))
    })
  }

  /** Whether the thread has ever answered. */
  get proven(): boolean {
    return this.#proven
  }

  end(): void {
    void this.#worker.terminate()
  }

  #answer(answer: Answer): void {
    this.#proven = true
    this.#worker.unref()
    this.#settle?.(answer)
  }

  #exit(): void {
    this.#ended = true
    this.#settle?.(undefined)
  }
}

// Small, because hashing allocates its memory outside the heap.
const HEAP = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4 }

// Small Buffers share one ArrayBuffer, which would be copied to the thread as a whole.
function alone(job: Job): Job {
  const members = Object.entries(job.work).map(([name, value]) => [
    name,
    value instanceof Uint8Array ? new Uint8Array(value) : value,
  ])
  return { name: job.name, work: Object.fromEntries(members) } as Job
}
