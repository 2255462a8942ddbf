/**
 * Prints which functions of the library a request enters, in order: a visitor's cookie until `req.user` is answered, and a
 * posted login until `Set-Cookie` has left, on Express with SQLite.
 *
 * Why it exists: to understand a request, a newcomer walks from function to function and from file to file. Each step is a
 * place to lose the thread, and no other check shows how many there are.
 */
import { createServer } from 'node:http'
import { type Debugger, Session } from 'node:inspector/promises'
import type { AddressInfo } from 'node:net'
import express from 'express'
import { gatepass } from 'gatepass/express'
import { hashPassword } from 'gatepass/password'
import { sqliteStore } from 'gatepass/stores/sqlite'
import { local } from 'gatepass/strategies/local'

/** A function of the library. */
export interface Place {
  /** Below `packages/gatepass/src`. */
  readonly file: string
  /** As JavaScript names it; a callback without a name is `(in …)` the function around it. */
  readonly name: string
}

/** Functions of one file that were entered one after the other. */
export interface Room {
  readonly file: string
  readonly functions: readonly string[]
}

/** What a request entered. */
export interface Walk {
  /** Each function once, where it was entered first. */
  readonly rooms: readonly Room[]
  readonly files: number
  readonly functions: number
  /** From one file to another, counted over every entry of a function. */
  readonly moves: number
  /** Those of the moves that lead to a file which the walk had left before. */
  readonly returns: number
}

/** @param entries every entry of a function, in order; the same function is the same object */
export function walkOf(entries: readonly Place[]): Walk {
  const rooms: { file: string; functions: string[] }[] = []
  for (const { file, name } of new Set(entries)) {
    const room = rooms.at(-1)
    if (room?.file === file) room.functions.push(name)
    else rooms.push({ file, functions: [name] })
  }
  const files = new Set(entries.map(({ file }) => file)).size
  const moves = entries.filter(({ file }, n) => n > 0 && entries[n - 1]?.file !== file).length
  return { rooms, files, functions: new Set(entries).size, moves, returns: moves - Math.max(0, files - 1) }
}

/** A walk as text: a line for each room, then the counts. */
export function printed(title: string, { rooms, files, functions, moves, returns }: Walk): string {
  const width = Math.max(...rooms.map(({ file }) => file.length))
  const lines = rooms.map((room) => `  ${room.file.padEnd(width)}  ${room.functions.join(', ')}`)
  const counts = `  ${files} files, ${functions} functions, ${moves} moves, ${returns} of them back to a file left before`
  return [title, ...lines, counts].join('\n')
}

interface Known extends Place {
  readonly scriptId: string
  readonly start: number
  readonly end: number
}

/** Notes which functions of the library are entered, and in which order. */
class Tracer {
  readonly #inspector = new Session()
  /** Every function that ran so far, by script and offset. */
  readonly #known = new Map<string, Known>()
  #entries: Place[] = []
  /** Whether a request is under way. */
  recording = false

  async start(): Promise<void> {
    this.#inspector.connect()
    await this.#inspector.post('Debugger.enable')
    await this.#inspector.post('Profiler.enable')
    await this.#inspector.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false })
  }

  /** @param request sends the same request each time */
  async walk(request: () => Promise<void>): Promise<Walk> {
    // What is made once (statements, caches, threads) is there after the first request.
    await request()
    await this.#called()
    await request()
    const called = await this.#called()
    const watched: string[] = []
    for (const place of called) watched.push(await this.#watch(place))
    this.#entries = []
    await request()
    for (const breakpointId of watched) await this.#inspector.post('Debugger.removeBreakpoint', { breakpointId })
    return walkOf(this.#entries)
  }

  /** The functions that ran since the last call. */
  async #called(): Promise<Known[]> {
    const { result } = await this.#inspector.post('Profiler.takePreciseCoverage')
    const called: Known[] = []
    for (const { url, scriptId, functions } of result) {
      const file = url.split('/packages/gatepass/src/')[1]
      if (file === undefined) continue
      for (const { functionName, ranges } of functions) {
        const { startOffset: start = 0, endOffset: end = 0, count = 0 } = ranges[0] ?? {}
        // The code around all functions of a file, and the fields of a class, are not functions.
        if (start === 0 || functionName.startsWith('<')) continue
        const key = `${scriptId}:${start}`
        const name = functionName || `(in ${this.#around(scriptId, start, end)})`
        const place = this.#known.get(key) ?? { file, name, scriptId, start, end }
        this.#known.set(key, place)
        if (count > 0) called.push(place)
      }
    }
    return called
  }

  /** The name of the innermost function around a callback. It ran before, since it made the callback. */
  #around(scriptId: string, start: number, end: number): string {
    let innermost: Known | undefined
    for (const other of this.#known.values()) {
      const around =
        other.scriptId === scriptId && other.start < start && end <= other.end && !other.name.startsWith('(')
      if (around && other.start > (innermost?.start ?? -1)) innermost = other
    }
    return innermost?.name ?? 'the module'
  }

  /** Sets a breakpoint at the start of a function. Its condition notes the entry and is never true, so it never stops. */
  async #watch(place: Known): Promise<string> {
    const { scriptId, start, end } = place
    const { scriptSource } = await this.#inspector.post('Debugger.getScriptSource', { scriptId })
    const locationOf = (offset: number): Debugger.Location => {
      const lines = scriptSource.slice(0, offset).split('\n')
      return { scriptId, lineNumber: lines.length - 1, columnNumber: lines.at(-1)?.length ?? 0 }
    }
    const { locations } = await this.#inspector.post('Debugger.getPossibleBreakpoints', {
      start: locationOf(start),
      end: locationOf(end),
      restrictToFunction: true,
    })
    const [location] = locations
    if (location === undefined) throw new Error(`No breakpoint fits into ${place.file}: ${place.name}`)
    const note = `note${scriptId}at${start}`
    Object.assign(globalThis, { [note]: () => void (this.recording && this.#entries.push(place)) })
    const condition = `${note}()`
    return (await this.#inspector.post('Debugger.setBreakpoint', { location, condition })).breakpointId
  }
}

/** The two walks, on a server of their own. */
export async function walks(): Promise<readonly (readonly [title: string, walk: Walk])[]> {
  const tracer = new Tracer()
  await tracer.start()
  const ada = { id: 'ada' }
  const hash = await hashPassword('a long password')
  const auth = gatepass({
    origin: 'http://localhost',
    sessions: { store: sqliteStore(':memory:') },
    users: { find: (id) => (id === ada.id ? ada : undefined), subject: (user) => user.id },
    strategies: [local<typeof ada>({ find: (name) => (name === ada.id ? { user: ada, hash } : undefined) })],
  })
  const app = express()
  app.use((_req, res, next) => {
    tracer.recording = true
    res.once('finish', () => {
      tracer.recording = false
    })
    next()
  })
  app.use(auth)
  app.get('/me', (req, res) => void res.json(req.user))
  app.post('/login', auth.login('local', { success: '/me' }))
  const server = createServer(app).listen(0, 'localhost')
  await new Promise((resolve) => server.once('listening', resolve))
  const address = `http://localhost:${(server.address() as AddressInfo).port}`
  let cookie = ''
  const login = async (): Promise<void> => {
    const response = await fetch(`${address}/login`, {
      method: 'POST',
      headers: { origin: 'http://localhost', 'sec-fetch-site': 'same-origin' },
      body: new URLSearchParams({ username: ada.id, password: 'a long password' }),
      redirect: 'manual',
    })
    cookie = response.headers.getSetCookie()[0]?.split(';', 1)[0] ?? ''
    await response.text()
  }
  const whoAmI = async (): Promise<void> => {
    const response = await fetch(`${address}/me`, { headers: { cookie } })
    if ((await response.text()) !== JSON.stringify(ada))
      throw new Error('The cookie of the login did not give its user')
  }
  try {
    await login()
    return [
      ['cookie → req.user', await tracer.walk(whoAmI)],
      ['POST /login → Set-Cookie', await tracer.walk(login)],
    ]
  } finally {
    server.closeAllConnections()
    server.close()
  }
}

if (import.meta.main) {
  // In development the library also looks for common mistakes.
  process.env.NODE_ENV = 'production'
  const texts = (await walks()).map(([title, walk]) => printed(title, walk))
  console.log(texts.join('\n\n'))
}
