import { resolve } from 'node:path'
import { Worker } from 'node:worker_threads'
import { quietly, type SqliteDatabase } from './database.ts'

/** What the thread is asked for. It answers a checkpoint with the pages in the log. */
export type CheckpointMessage = 'checkpoint' | 'close'

export interface ThreadData {
  readonly path: string
  /** How many pages make a log long. */
  readonly long: number
  /** Becomes 1 when the thread has closed its connection. */
  readonly closed: Int32Array<SharedArrayBuffer>
}

/** After how many written rows a checkpoint begins. A row changes two to four pages. */
const DUE = 300
/** How many rows may be written during a checkpoint before the sweeper waits for its end. */
const BEHIND = 1500
/**
 * From how many pages on the sweeper waits for each checkpoint, because a new log can begin only if nothing was written meanwhile. Not
 * with fewer pages, because the write that begins a new log waits for the disk.
 */
const LONG = 4000
/** After how many pages in the log SQLite copies them in the middle of a write: without the thread, and if it falls behind. */
const ALONE = 1000
const FALLEN_BEHIND = 20_000
/** How long `close` waits for the thread at most, in milliseconds. */
const CLOSING_TIMEOUT = 2000

/**
 * Copies the pages of the write-ahead log into the database on a thread. SQLite itself does it in the middle of a write, which then
 * waits for the disk: 25 to 100 ms in which the process answers nothing.
 */
export class Checkpoints {
  readonly #database: SqliteDatabase
  readonly #path: string
  readonly #file: () => URL
  readonly #closed = new Int32Array(new SharedArrayBuffer(4))
  #thread: Worker | undefined
  #written = 0
  #pages = 0
  #running: PromiseWithResolvers<void> | undefined
  #over = false

  /** @param file returns the file that the thread runs; it may throw if there is none */
  constructor(database: SqliteDatabase, path: string, file: () => URL = threadFile) {
    this.#database = database
    // The thread starts later, perhaps after the process has changed its folder.
    this.#path = resolve(path)
    this.#file = file
    this.#copyInWritesAfter(FALLEN_BEHIND)
  }

  /** Tells how many rows a statement wrote. */
  wrote(rows: number): void {
    this.#written += rows
    if (this.#written >= DUE && this.#running === undefined && !this.#over) this.#begin()
  }

  /** Resolves when more can be written that is not urgent. */
  caughtUp(): Promise<void> | undefined {
    return this.#written >= BEHIND || this.#pages >= LONG ? this.#running?.promise : undefined
  }

  /** Closes the thread's connection before it returns, because SQLite tidies up when the last connection is closed. */
  close(): void {
    this.#over = true
    if (this.#thread === undefined) return
    this.#thread.postMessage('close' satisfies CheckpointMessage)
    Atomics.wait(this.#closed, 0, 0, CLOSING_TIMEOUT)
    this.#end()
  }

  #begin(): void {
    this.#written = 0
    this.#running = Promise.withResolvers()
    try {
      this.#thread ??= this.#start()
      this.#thread.postMessage('checkpoint' satisfies CheckpointMessage)
    } catch {
      this.#fail()
    }
  }

  #start(): Worker {
    const workerData: ThreadData = { path: this.#path, long: LONG, closed: this.#closed }
    // Without the flags and NODE_OPTIONS of the process, so that `--import` (instrumentation, for example) loads nothing here.
    const thread = new Worker(this.#file(), {
      workerData,
      execArgv: ['--disable-warning=ExperimentalWarning'],
      env: {},
    })
    thread.on('message', (pages: number) => {
      this.#pages = pages
      this.#running?.resolve()
      this.#running = undefined
      this.wrote(0)
    })
    // 'exit' follows and is handled. Without a listener, 'error' would end the process.
    thread.on('error', () => {})
    thread.on('exit', () => this.#fail())
    // After the listeners, because a listener for messages would keep the process alive again.
    thread.unref()
    return thread
  }

  /** No thread starts, or it has died. */
  #fail(): void {
    if (this.#over) return
    this.#end()
    quietly(() => this.#copyInWritesAfter(ALONE))
  }

  #end(): void {
    this.#over = true
    this.#thread = undefined
    this.#running?.resolve()
    this.#running = undefined
  }

  #copyInWritesAfter(pages: number): void {
    this.#database.exec(`PRAGMA wal_autocheckpoint = ${pages}`)
  }
}

// TypeScript in the repository, JavaScript in the installed package.
function threadFile(): URL {
  return import.meta.url.endsWith('.ts')
    ? new URL('./checkpoint-thread.ts', import.meta.url)
    : new URL('./checkpoint-thread.js', import.meta.url)
}
