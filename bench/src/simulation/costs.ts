import { readFileSync } from 'node:fs'

/** The cost of operations in microseconds of the engine's processor, and of a session in bytes of memory or disk. */
export interface EngineCosts {
  /** Each command or query that looks sessions up … */
  readonly lookup: number
  /** … and each session it asks for. */
  readonly key: number
  readonly login: number
  readonly touch: number
  readonly change: number
  readonly logout: number
  readonly bytes: number
}

/** The costs that `npm run bench -- costs` measured last. */
export interface MeasuredCosts {
  readonly date: string
  readonly machine: string
  readonly redis: EngineCosts & { readonly version: string }
  readonly postgres: EngineCosts & { readonly version: string }
  /** Microseconds of a server process for an authenticated request with a bare answer. */
  readonly request: { readonly redis: number; readonly postgres: number; readonly nearCache: number }
}

export const costsFile: URL = new URL('./costs.json', import.meta.url)

export function measuredCosts(): MeasuredCosts {
  return JSON.parse(readFileSync(costsFile, 'utf8')) as MeasuredCosts
}
