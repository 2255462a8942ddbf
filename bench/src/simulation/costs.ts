import { readFileSync } from 'node:fs'

/** What one operation costs the engine, in microseconds of its processor, and a session in bytes of its memory or disk. */
export interface EngineCosts {
  /** Each command or query that looks something up … */
  readonly lookup: number
  /** … and each session it asks for. */
  readonly key: number
  readonly login: number
  readonly touch: number
  readonly change: number
  readonly logout: number
  readonly bytes: number
}

/** As `npm run bench -- costs` last measured it. */
export interface MeasuredCosts {
  readonly date: string
  readonly machine: string
  readonly redis: EngineCosts & { readonly version: string }
  readonly postgres: EngineCosts & { readonly version: string }
  /** Microseconds of a server process for an authenticated request on a bare framework's answer. */
  readonly request: { readonly redis: number; readonly postgres: number; readonly nearCache: number }
}

export const costsFile: URL = new URL('./costs.json', import.meta.url)

export function measuredCosts(): MeasuredCosts {
  return JSON.parse(readFileSync(costsFile, 'utf8')) as MeasuredCosts
}
