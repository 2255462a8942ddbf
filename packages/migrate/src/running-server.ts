import { parseSetCookie, type SetCookie } from 'gatepass/cookie'
import { fault, remark, type Symptom } from './symptom.ts'

/** Seconds for an answer. */
const PATIENCE = 10

/** What a running server's answers tell. Asks with GET alone, and changes nothing but what any visitor would. */
export async function askServer(url: URL): Promise<Symptom[]> {
  const where = url.origin
  const plain = await ask(url)
  if (typeof plain === 'string') return [fault(where, `does not answer: ${plain}`, 'Start it, or correct the address.')]
  const cookies = plain.headers.getSetCookie().flatMap((field) => parseSetCookie(field) ?? [])
  return [
    ...(plain.status >= 500 ? [fault(where, `answers ${plain.status}`, 'Look at its log.')] : []),
    ...cookies.filter(carriesSession).flatMap((cookie) => cookieSymptoms(cookie, url)),
    ...transport(url, plain),
    ...(await forged(url, cookies)),
  ]
}

/** A token is long; a language or a theme is not. */
function carriesSession({ name, value }: SetCookie): boolean {
  return /sess|sid|auth|token|gp\b/i.test(name) || value.length >= 32
}

function cookieSymptoms({ name, attributes }: SetCookie, url: URL): Symptom[] {
  const where = `${url.origin}, cookie ${name}`
  return [
    ...when(attributes.httpOnly !== true, fault(where, 'no HttpOnly: scripts can read it', 'Set `httpOnly: true`.')),
    ...when(
      url.protocol === 'https:' && attributes.secure !== true,
      fault(where, 'no Secure: it is sent over http, too', "Set `secure: 'auto'` or true."),
    ),
    ...when(attributes.sameSite === undefined, remark(where, 'no SameSite', "Set `sameSite: 'lax'`.")),
    ...when(
      attributes.sameSite === 'none',
      remark(
        where,
        'SameSite=None: other sites can send requests as your users',
        'Make sure that unsafe routes check where they were called from.',
      ),
    ),
    remark(
      where,
      'set for a visitor who did nothing',
      'A session for everybody fills the store. Set `saveUninitialized: false`, unless this page logs in.',
    ),
  ]
}

function transport(url: URL, response: Response): Symptom[] {
  const guarded = response.headers.has('strict-transport-security')
  return when(
    url.protocol === 'https:' && !guarded,
    remark(
      url.origin,
      'no Strict-Transport-Security',
      'A first request over http can be intercepted. Send the header, at the proxy or in the application.',
    ),
  )
}

/** Names under which Gatepass and its drop-ins keep sessions by default. */
const usualNames = ['connect.sid', '__Host-Http-gp', 'gp', 'session'] as const

/** A cookie that nobody issued has to be an absent one. */
async function forged(url: URL, cookies: readonly SetCookie[]): Promise<Symptom[]> {
  const names = new Set<string>([...usualNames, ...cookies.filter(carriesSession).map(({ name }) => name)])
  const cookie = [...names].map((name) => `${name}=s%3Aforged.${'A'.repeat(43)}`).join('; ')
  const response = await ask(url, { cookie })
  if (typeof response === 'string' || response.status < 500) return []
  return [
    fault(
      url.origin,
      `answers ${response.status} to cookies that nobody issued`,
      'Any visitor can do this. Look at its log.',
    ),
  ]
}

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

function when(applies: boolean, symptom: Symptom): Symptom[] {
  return applies ? [symptom] : []
}
