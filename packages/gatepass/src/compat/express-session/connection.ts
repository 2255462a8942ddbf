import type { TLSSocket } from 'node:tls'
import type { NodeRequest } from '../../http/response-gate.ts'

/** What Express and Connect add to a request. */
type ConnectedRequest = NodeRequest & {
  /** Before a part was taken off for a mounted application. */
  readonly originalUrl?: string
  /** After Express's `trust proxy`. */
  readonly secure?: boolean
}

/** Whether the browser's connection is encrypted, by express-session's option `proxy`. */
export function isSecure(req: ConnectedRequest, proxy: boolean | undefined): boolean {
  if ((req.socket as Partial<TLSSocket> | undefined)?.encrypted) return true
  if (proxy === false) return false
  if (proxy !== true) return req.secure === true
  const [first = ''] = String(req.headers['x-forwarded-proto'] ?? '').split(',')
  return first.trim().toLowerCase() === 'https'
}

export function pathOf({ originalUrl, url }: ConnectedRequest): string {
  const target = originalUrl || url || '/'
  if (!target.startsWith('/')) return URL.canParse(target) ? new URL(target).pathname : target
  const end = target.search(/[?#]/)
  return end === -1 ? target : target.slice(0, end)
}

/** Says why the browser will have no session. */
export function warnWithheld(req: NodeRequest, proxy: boolean | undefined): void {
  const proto = req.headers['x-forwarded-proto']
  const seen =
    proto === undefined
      ? 'it has no X-Forwarded-Proto'
      : `its X-Forwarded-Proto is ${JSON.stringify(proto).slice(0, 40)}`
  process.emitWarning(
    `A session cookie is \`secure\` and was not set, because the request did not come over https: ${seen}`,
    {
      type: 'GatepassWarning',
      code: 'ERR_SESSION_INSECURE_ORIGIN',
      detail:
        proxy === undefined
          ? "Behind a proxy that ends https, say app.set('trust proxy', 1), or give session() the option `proxy: true`."
          : "Behind a proxy that ends https, let it send X-Forwarded-Proto and give `proxy: true`. Otherwise use `secure: 'auto'`.",
    },
  )
}

export function warnTooLate(): void {
  process.emitWarning(
    'A session was begun when the head of its response had left: it has no cookie, and is not stored',
    {
      type: 'GatepassWarning',
      code: 'ERR_RESPONSE_STARTED',
      detail: 'Write to req.session before the first byte of the response.',
    },
  )
}
