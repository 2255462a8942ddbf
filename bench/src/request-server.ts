/**
 * One server under load, in a process of its own: `request-server.ts <variant> <engines as JSON>`. Every variant answers
 * the same `GET /` with the name of the user; what differs is how it knows. The parent asks for the CPU time used so far.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Engines } from './request-stores.ts'
import { variants } from './request-variants.ts'

const [, , variant = '', engines = '{}'] = process.argv
const make = variants[variant]
if (make === undefined) throw new Error(`Variants: ${Object.keys(variants).join(', ')}`)
const server = createServer(await make(JSON.parse(engines) as Engines)).listen(0, '127.0.0.1', () => {
  process.send?.({ port: (server.address() as AddressInfo).port })
})
process.on('message', () => {
  const { user, system } = process.cpuUsage()
  process.send?.({ cpu: user + system })
})
process.on('disconnect', () => process.exit(0))
