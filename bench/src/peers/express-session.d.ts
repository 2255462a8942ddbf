// The parts of express-session's interface that the bench uses. Its own types would merge with those of `gatepass/express`,
// so tsconfig.json leads `express-session` here.
import type { RequestHandler } from 'express'

export interface SessionData {
  user?: string
}

export declare class Store {
  get(id: string, callback: (error?: unknown, session?: object | null) => void): void
  set(id: string, session: object, callback?: (error?: unknown) => void): void
}

declare class MemoryStore extends Store {
  length(callback: (error: unknown, length: number) => void): void
}

interface Options {
  secret: string
  resave: boolean
  saveUninitialized: boolean
  store?: Store
}

declare const session: ((options: Options) => RequestHandler) & { Store: typeof Store; MemoryStore: typeof MemoryStore }
export default session
