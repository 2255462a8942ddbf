/** `password-server.ts <variant> <password>`: a POST verifies the password, a GET does not. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import * as packagedArgon2 from '@node-rs/argon2'
import bcrypt from 'bcryptjs'
import { passwords } from 'gatepass/password'

const [, , variant = '', password = ''] = process.argv

const verifiers: Record<string, () => Promise<() => Promise<boolean>>> = {
  gatepass: async () => {
    const ours = passwords()
    const stored = await ours.hash(password)
    return async () => (await ours.verify(password, stored)).ok
  },
  '@node-rs/argon2': async () => {
    const stored = await packagedArgon2.hash(password, { memoryCost: 19_456, timeCost: 2 })
    return () => packagedArgon2.verify(stored, password)
  },
  bcryptjs: async () => {
    const stored = await bcrypt.hash(password, 10)
    return () => bcrypt.compare(password, stored)
  },
}

const verify = await verifiers[variant]?.()
if (verify === undefined) throw new Error(`Variants: ${Object.keys(verifiers).join(', ')}`)
const server = createServer(async (req, res) => {
  const ok = req.method !== 'POST' || (await verify())
  res.writeHead(ok ? 200 : 401, { 'Content-Type': 'application/json' }).end('{"name":"alice"}')
})
// Longer than the windows of the other variants, during which this one gets no requests.
server.keepAliveTimeout = 60_000
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }))
process.on('disconnect', () => process.exit(0))
