import type { IncomingMessage, RequestListener } from 'node:http'
import { equal } from '../../crypto/equal.ts'
import { hmacKey, hmacText } from '../../crypto/hmac.ts'
import { randomToken, sha256Base64url } from '../../crypto/random.ts'
import { NextFault, type PlainFault, plainFaults } from './fault.ts'
import { type Answer, formOf, json, page, redirect, send } from './listener.ts'
import { choicePage, homePage, sayingPage } from './pages.ts'
import type { Person } from './person.ts'

export interface FacebookApp {
  readonly id: string
  readonly secret: string
  readonly redirectUris: readonly string[]
}

/** The parameters of an authorization request (RFC 6749 §4.1.1, RFC 7636 §4.3). */
interface Dialog {
  readonly app: FacebookApp
  readonly redirectUri: string
  readonly state: string
  readonly challenge: string
}

interface Granted {
  readonly app: FacebookApp
  readonly person: Person
  readonly fault: PlainFault | undefined
}

const LABEL = 'Facebook'

/** The parts of Facebook that a login needs: the dialog, the token endpoint, and the Graph addresses for users and tokens. */
export class FacebookServer {
  readonly #apps: readonly FacebookApp[]
  readonly #people: readonly Person[]
  readonly #dialogs = new Map<string, Dialog>()
  readonly #codes = new Map<string, Dialog & { person: Person }>()
  readonly #tokens = new Map<string, Granted>()
  readonly fault: NextFault<PlainFault> = new NextFault(plainFaults)

  constructor(apps: readonly FacebookApp[], people: readonly Person[]) {
    this.#apps = apps
    // Facebook names neither verified addresses nor organisations.
    this.#people = people.map(({ id, name, email }) => ({ id, name, ...(email !== undefined && { email }) }))
  }

  listener(): RequestListener {
    return (req, res) => {
      this.#answerTo(req).then(
        (answer) => send(res, answer),
        () => send(res, json(400, problem('The request cannot be read'))),
      )
    }
  }

  async #answerTo(req: IncomingMessage): Promise<Answer> {
    const url = new URL(req.url ?? '/', 'http://127.0.0.1')
    // All versions of the Graph get the same answers.
    const path = url.pathname.replace(/^\/v\d+\.\d+/, '')
    if (path === '/') return page(200, homePage(LABEL))
    if (path === '/dialog/oauth') return this.#openDialog(url.searchParams)
    if (path.startsWith('/dialog/')) return this.#decide(path.slice('/dialog/'.length), await formOf(req))
    if (await this.fault.hinders({ last: path === '/oauth/access_token' })) return json(503, {})
    if (path === '/oauth/access_token') return this.#exchange(await formOf(req))
    if (path === '/debug_token') return this.#debug(url.searchParams, bearerOf(req))
    if (path === '/me') return this.#me(url.searchParams, bearerOf(req))
    return json(404, problem('Unknown path'))
  }

  #openDialog(query: URLSearchParams): Answer {
    const app = this.#apps.find(({ id }) => id === query.get('client_id'))
    const redirectUri = query.get('redirect_uri') ?? ''
    if (app === undefined || !app.redirectUris.includes(redirectUri)) {
      const text = 'The application is not registered here, or sends you back to where it is not.'
      return page(400, sayingPage(LABEL, 'That cannot be done', text))
    }
    const id = randomToken()
    const challenge = query.get('code_challenge') ?? ''
    this.#dialogs.set(id, { app, redirectUri, state: query.get('state') ?? '', challenge })
    return this.#showDialog(id, redirectUri)
  }

  #showDialog(id: string, application: string): Answer {
    const { kinds, now } = this.fault
    const choice = { label: LABEL, application, people: this.#people, faults: kinds, fault: now }
    return page(200, choicePage({ ...choice, action: `/dialog/${id}` }))
  }

  #decide(id: string, form: URLSearchParams): Answer {
    const dialog = this.#dialogs.get(id)
    if (dialog === undefined) {
      return page(400, sayingPage(LABEL, 'Too late', 'This login is over. Go back to where you came from.'))
    }
    const error = this.fault.refusal(form)
    const person = this.#people.find((candidate) => candidate.id === form.get('person'))
    if (error === undefined && person === undefined) return this.#showDialog(id, dialog.redirectUri)
    this.#dialogs.delete(id)
    if (error !== undefined || person === undefined) return redirect(withQuery(dialog, { error }))
    const code = randomToken()
    this.#codes.set(code, { ...dialog, person })
    return redirect(withQuery(dialog, { code }))
  }

  #exchange(form: URLSearchParams): Answer {
    const code = form.get('code') ?? ''
    const given = this.#codes.get(code)
    this.#codes.delete(code)
    if (given === undefined || !isAskedBy(form, given)) {
      return json(400, problem('This authorization code cannot be used'))
    }
    const token = randomToken()
    this.#tokens.set(token, { app: given.app, person: given.person, fault: this.fault.take() })
    return json(200, { access_token: token, token_type: 'bearer', expires_in: 60 * 86_400 })
  }

  #debug(query: URLSearchParams, bearer: string): Answer {
    const granted = this.#tokens.get(query.get('input_token') ?? '')
    if (granted === undefined || bearer !== `${granted.app.id}|${granted.app.secret}`) {
      return json(400, problem('The token or the application is not known'))
    }
    const { app, person, fault } = granted
    const appId = fault === 'wrong-audience' ? 'another-application' : app.id
    return json(200, { data: { app_id: appId, is_valid: fault !== 'expired', user_id: person.id, type: 'USER' } })
  }

  #me(query: URLSearchParams, token: string): Answer {
    const granted = this.#tokens.get(token)
    const proof = granted === undefined ? '' : hmacText(hmacKey(Buffer.from(granted.app.secret)), token)
    const expected = Buffer.from(proof, 'base64url').toString('hex')
    if (granted === undefined || !equal(query.get('appsecret_proof') ?? '', expected)) {
      return json(400, problem('Calls need a token and the proof of the secret'))
    }
    const { id, name, email } = granted.person
    const [first, ...family] = name.split(' ')
    return json(200, {
      id,
      name,
      first_name: first,
      last_name: family.join(' '),
      ...(email !== undefined && { email }),
    })
  }
}

function isAskedBy(form: URLSearchParams, { app, redirectUri, challenge }: Dialog): boolean {
  return (
    form.get('client_id') === app.id &&
    form.get('client_secret') === app.secret &&
    form.get('redirect_uri') === redirectUri &&
    (challenge === '' || sha256Base64url(form.get('code_verifier') ?? '') === challenge)
  )
}

function withQuery({ redirectUri, state }: Dialog, answer: { code: string } | { error: string | undefined }): string {
  const url = new URL(redirectUri)
  for (const [name, value] of Object.entries({ ...answer, state })) url.searchParams.set(name, value ?? '')
  return url.href
}

function bearerOf(req: IncomingMessage): string {
  return req.headers.authorization?.replace(/^Bearer /, '') ?? ''
}

function problem(message: string): object {
  return { error: { message, type: 'OAuthException', code: 100 } }
}
