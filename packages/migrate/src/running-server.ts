import { parseSetCookie, type SetCookie } from 'gatepass/cookie'
import { type Finding, fault, remark } from './findings.ts'

/** Seconds to wait for an answer. */
const PATIENCE = 10

/** What a running server's answers tell. Sends only GET requests, as any visitor does. */
export async function askServer(url: URL): Promise<Finding[]> {
  const where = url.origin
  const plain = await ask(url)
  if (typeof plain === 'string') return [fault(where, `does not answer: ${plain}`, 'Start it, or correct the address.')]
  const fields = plain.headers.getSetCookie()
  const cookies = fields.flatMap((field) => parseSetCookie(field) ?? []).filter(mayCarrySession)
  const findings = cookies.flatMap((cookie) => cookieFindings(cookie, url))
  if (plain.status >= 500) findings.unshift(fault(where, `answers ${plain.status}`, 'Look at its log.'))
  if (url.protocol === 'https:' && !plain.headers.has('strict-transport-security')) {
    const advice = 'A first request over http can be intercepted. Send the header, at the proxy or in the application.'
    findings.push(remark(where, 'no Strict-Transport-Security', advice))
  }
  const forged = await ask(url, { cookie: forgedCookies(cookies) })
  if (typeof forged !== 'string' && forged.status >= 500) {
    const advice = 'Any visitor can do this. Look at its log.'
    findings.push(fault(where, `answers ${forged.status} to forged cookies`, advice))
  }
  return findings
}

/** A token is long; a language or a theme is not. */
function mayCarrySession({ name, value }: SetCookie): boolean {
  return /sess|sid|auth|token|gp\b/i.test(name) || value.length >= 32
}

function cookieFindings({ name, attributes }: SetCookie, url: URL): Finding[] {
  const { httpOnly, secure, sameSite } = attributes
  const where = `${url.origin}, cookie ${name}`
  const findings: Finding[] = []
  if (httpOnly !== true) findings.push(fault(where, 'no HttpOnly: scripts can read it', 'Set `httpOnly: true`.'))
  if (url.protocol === 'https:' && secure !== true)
    findings.push(fault(where, 'no Secure: it is also sent over http', "Set `secure: 'auto'` or true."))
  if (sameSite === undefined) findings.push(remark(where, 'no SameSite', "Set `sameSite: 'lax'`."))
  if (sameSite === 'none') {
    const what = 'SameSite=None: other sites can send requests as your users'
    findings.push(remark(where, what, 'Make every unsafe route check where a request comes from.'))
  }
  const advice =
    'A session for every visitor fills the store. Set `saveUninitialized: false`, unless this page logs in.'
  return [...findings, remark(where, 'set for a visitor who did nothing', advice)]
}

/** Names under which Gatepass and its drop-ins keep sessions by default. */
const usualNames = ['connect.sid', '__Host-Http-gp', 'gp', 'session'] as const

/** A server has to ignore these. */
function forgedCookies(cookies: readonly SetCookie[]): string {
  const names = new Set<string>([...usualNames, ...cookies.map(({ name }) => name)])
  return [...names].map((name) => `${name}=s%3Aforged.${'A'.repeat(43)}`).join('; ')
}

/** The answer, or why there is none. */
async function ask(url: URL, headers: Record<string, string> = {}): Promise<Response | string> {
  try {
    const response = await fetch(url, { headers, redirect: 'manual', signal: AbortSignal.timeout(PATIENCE * 1000) })
    await response.body?.cancel()
    return response
  } catch (error) {
    const { cause, message } = error as Error
    return cause instanceof Error && cause.message !== '' ? cause.message : message
  }
}
