import { type NodeRequest, type NodeResponse, setHeaderInFinish } from '../../http/response-gate.ts'
import { isSecure } from './connection.ts'
import { Cookie } from './cookie.ts'
import type { Settings } from './settings.ts'

/** The cookie of a session that begins with this request. */
export function newCookie(req: NodeRequest, { cookieOf, proxy }: Settings): Cookie {
  const options = cookieOf(req)
  const cookie = new Cookie(options)
  const secure = isSecure(req, proxy)
  if (options.secure === 'auto') cookie.secure = secure
  if (options.sameSite === 'auto') cookie.sameSite = secure ? 'none' : 'lax'
  return cookie
}

/** Tells the browser that its session has ended; unless the application has told it already. */
export function expireCookie(req: NodeRequest, res: NodeResponse, settings: Settings): void {
  if (fieldsOf(res).some((field) => field.startsWith(`${settings.name}=`))) return
  const cookie = newCookie(req, settings)
  cookie.expires = new Date(0)
  addSetCookie(res, cookie.serialize(settings.name, ''))
}

/** Adds a field to what the response sets already, within the gate's `finish`. */
export function addSetCookie(res: NodeResponse, field: string): void {
  setHeaderInFinish(res, 'Set-Cookie', [...fieldsOf(res), field])
}

function fieldsOf(res: NodeResponse): string[] {
  const set = res.getHeader('Set-Cookie') ?? []
  return Array.isArray(set) ? set : [String(set)]
}
