/**
 * One server under load, in a process of its own: `request-server.ts <Setup as JSON>`. Every variant answers the same `GET /`
 * with the name of the user; what differs is how it knows. The parent asks for what was used so far.
 */
import { createServer } from 'node:http'
import { registerHooks } from 'node:module'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Engines } from './request-stores.ts'

export interface Setup {
  readonly variant: string
  readonly engines: Engines
  /** A checkout whose Gatepass is served. Everything else comes from here. */
  readonly checkout: string
}

/** Microseconds of CPU, and requests, since the process began. */
export interface Usage {
  readonly user: number
  readonly system: number
  readonly requests: number
}

const { variant, engines, checkout } = JSON.parse(process.argv[2] ?? '{}') as Setup
const parentURL = pathToFileURL(join(checkout, 'packages/gatepass/package.json')).href
registerHooks({
  resolve: (name, context, next) => next(name, /^gatepass(\/|$)/.test(name) ? { ...context, parentURL } : context),
})
const { variants } = await import('./request-variants.ts')
const make = variants[variant]
if (make === undefined) throw new Error(`Variants: ${Object.keys(variants).join(', ')}`)
const listener = await make(engines)
let requests = 0
const server = createServer((req, res) => {
  requests++
  listener(req, res)
}).listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }))
process.on('message', () => process.send?.({ ...process.cpuUsage(), requests } satisfies Usage))
process.on('disconnect', () => process.exit(0))
