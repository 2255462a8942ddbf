import { type IncomingHttpHeaders, request } from 'node:http'
import { connect } from 'node:net'

// biome-ignore lint/suspicious/noExplicitAny: tests look into answers of many shapes
export type Json = any

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
  /** The body as JSON. */
  readonly data: Json
}

export interface AskOptions {
  readonly headers?: Readonly<Record<string, string | string[]>>
  readonly body?: string | Buffer
}

export interface VisitorOptions {
  readonly origin: string
  readonly port: number
  readonly userAgent?: string
  readonly localAddress?: string
}

/** One browser: keeps cookies, says where its requests come from, and follows no redirect by itself. */
export class Visitor {
  readonly cookies: Map<string, string> = new Map()
  /** Every Set-Cookie field that ever came. */
  readonly received: string[] = []
  readonly #options: VisitorOptions

  constructor(options: VisitorOptions) {
    this.#options = options
  }

  get(path: string, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
    return this.ask('GET', path, { headers: { accept: 'text/html', ...headers } })
  }

  /** Sends a form as a page of the site itself would. */
  post(
    path: string,
    fields: Readonly<Record<string, string>>,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Answer> {
    return this.ask('POST', path, {
      headers: {
        accept: 'text/html',
        'content-type': 'application/x-www-form-urlencoded',
        origin: this.#options.origin,
        'sec-fetch-site': 'same-origin',
        ...headers,
      },
      body: new URLSearchParams(fields).toString(),
    })
  }

  /** Sends JSON as a script of the site itself would. */
  json(method: string, path: string, body?: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
    return this.ask(method, path, {
      headers: {
        origin: this.#options.origin,
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
  }

  /** Exactly this, and the cookies. */
  async ask(method: string, path: string, { headers = {}, body }: AskOptions = {}): Promise<Answer> {
    const { origin, port, userAgent, localAddress } = this.#options
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const answer = await exchange({
      method,
      path,
      port,
      localAddress,
      body,
      headers: {
        host: new URL(origin).host,
        ...(userAgent !== undefined && { 'user-agent': userAgent }),
        ...(cookie !== '' && { cookie }),
        ...headers,
      },
    })
    this.#keep(answer.headers['set-cookie'] ?? [])
    return answer
  }

  /** The value of the session's cookie. */
  get token(): string | undefined {
    return this.cookies.get('gp') ?? this.cookies.get('__Host-Http-gp')
  }

  #keep(fields: readonly string[]): void {
    for (const field of fields) {
      this.received.push(field)
      const [pair = '', ...attributes] = field.split(';')
      const name = pair.slice(0, pair.indexOf('='))
      const removed = attributes.some((attribute) => /^\s*max-age=0$|^\s*expires=thu, 01 jan 1970/i.test(attribute))
      if (removed) this.cookies.delete(name)
      else this.cookies.set(name, pair.slice(name.length + 1))
    }
  }
}

interface RawRequest extends Omit<AskOptions, 'body'> {
  readonly method: string
  readonly path: string
  readonly port: number
  readonly localAddress: string | undefined
  readonly body: string | Buffer | undefined
}

function exchange({ method, path, port, localAddress, headers = {}, body }: RawRequest): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }
    const options = {
      method,
      path,
      port,
      host: '127.0.0.1',
      localAddress,
      agent: false,
      headers: { ...length, ...headers },
    }
    const sent = request(options, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8')
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: text,
          get data() {
            return JSON.parse(text)
          },
        })
      })
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

/** Writes bytes to a socket, in pieces of at most `size`, and returns what comes back until the server closes it. */
export function raw(port: number, text: string | Buffer, size: number = text.length): Promise<string> {
  return new Promise((resolve, reject) => {
    const writeFrom = (start: number): void => {
      if (start >= text.length || socket.destroyed) return
      socket.write(text.slice(start, start + size), () => setImmediate(writeFrom, start + size))
    }
    const socket = connect({ port, host: '127.0.0.1', noDelay: true }, () => writeFrom(0))
    const chunks: Buffer[] = []
    socket.on('data', (chunk) => chunks.push(chunk))
    socket.on('close', () => resolve(Buffer.concat(chunks).toString('latin1')))
    socket.on('error', (error: NodeJS.ErrnoException) => (error.code === 'ECONNRESET' ? undefined : reject(error)))
  })
}

/** Sends the texts over one connection, each after the answer to the one before. */
export function rawInTurn(port: number, texts: readonly string[]): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const answers: string[] = []
    const socket = connect({ port, host: '127.0.0.1' }, () => socket.write(texts[0] ?? ''))
    socket.on('data', (chunk) => {
      answers.push(chunk.toString('latin1'))
      const next = texts[answers.length]
      if (next !== undefined) socket.write(next)
    })
    socket.on('close', () => resolve(answers))
    socket.on('error', (error: NodeJS.ErrnoException) => (error.code === 'ECONNRESET' ? undefined : reject(error)))
  })
}

/** The value of a page's hidden field. */
export function hidden(page: string, name: string): string {
  return new RegExp(`name="${name}" value="([^"]*)"`).exec(page)?.[1] ?? ''
}
