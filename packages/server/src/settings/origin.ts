import { isIPv6 } from 'node:net'

/** `text` as a serialised origin (RFC 6454 §6.2), if it is an http or https URL of only scheme, host and port. */
export function parseOrigin(text: string): string | undefined {
  if (!URL.canParse(text)) return undefined
  const url = new URL(text)
  const bare = url.pathname === '/' && [url.search, url.hash, url.username, url.password].every((part) => part === '')
  return bare && /^https?:$/.test(url.protocol) && !/[\s\\*]/.test(text) ? url.origin : undefined
}

/** Whether a host name can only mean this machine (RFC 6761 §6.3, RFC 1122 §3.2.1.3, RFC 4291 §2.5.3). @param hostname as `URL` gives it */
export function isLoopbackHost(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(hostname)
}

/** Whether only this machine can reach a server on this address. @param address as `listen` takes it, in any spelling */
export function isLoopbackAddress(address: string): boolean {
  return isLoopbackHost(URL.parse(`http://${isIPv6(address) ? `[${address}]` : address}`)?.hostname ?? '')
}

/** The origins under which a browser on this machine may reach a server on this machine. */
export function loopbackOrigins(port: number): [string, ...string[]] {
  return [`http://localhost:${port}`, `http://127.0.0.1:${port}`, `http://[::1]:${port}`]
}
