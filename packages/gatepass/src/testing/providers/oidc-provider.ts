import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { type Adapter, type AdapterPayload, errors, type Interaction, interactionPolicy, Provider } from 'oidc-provider'
import { randomToken } from '../../crypto/random.ts'
import type { Jwk } from '../../crypto/signature.ts'
import { type Fault, faults, NextFault } from './fault.ts'
import { rsaKey, untrue } from './id-tokens.ts'
import { type Answer, formOf, page, send } from './listener.ts'
import { configurationOf, type OpenIdMemory, type OpenIdSettings } from './openid-configuration.ts'
import { choicePage, homePage, sayingPage } from './pages.ts'
import type { Person } from './person.ts'

/** The paths that servers call, not browsers. */
const SERVERS_ASK: readonly string[] = ['/.well-known/openid-configuration', '/request', '/token', '/jwks', '/me']

/** An OpenID provider of the `oidc-provider` package, with our own pages and faults. */
export class OpenIdServer {
  readonly #settings: OpenIdSettings
  readonly #memory: OpenIdMemory
  readonly #offlineGrants = new Set<string>()
  readonly fault: NextFault<Fault> = new NextFault(Object.keys(faults) as Fault[])
  #keys: readonly Jwk[]
  #provider: Provider
  #answer: ReturnType<Provider['callback']>

  constructor(settings: OpenIdSettings, key: Jwk) {
    this.#settings = settings
    this.#memory = {
      cookieKey: randomToken(),
      recordsOf: recordsByKind(),
      isOffline: (grantId) => grantId !== undefined && this.#offlineGrants.has(grantId),
    }
    this.#keys = [key]
    this.#provider = this.#begin()
    this.#answer = this.#provider.callback()
  }

  /** Signs with a new key from now on. Tokens of the previous key can still be verified. */
  async rotateKeys(): Promise<void> {
    this.#keys = [await rsaKey(), ...this.#keys.slice(0, 1)]
    this.#provider = this.#begin()
    this.#answer = this.#provider.callback()
  }

  listener(): RequestListener {
    return (req, res) => {
      const [path = ''] = (req.url ?? '').split('?')
      if (path === '/') return send(res, page(200, homePage(this.#settings.label)))
      if (!path.startsWith('/interaction/')) return void this.#answer(req, res)
      this.#decide(req, res).then(
        (answer) => answer && send(res, answer),
        (error: unknown) => send(res, this.#failed(error)),
      )
    }
  }

  #begin(): Provider {
    const provider = new Provider(this.#settings.issuer, {
      ...configurationOf(this.#settings, this.#memory, this.#keys),
      interactions: { url: (_ctx, { uid }) => `/interaction/${uid}`, policy: alwaysAsking() },
    })
    provider.use((ctx, next) => this.#misbehaving(ctx, next))
    return provider
  }

  async #misbehaving(ctx: Asked, next: () => Promise<void>): Promise<void> {
    const last = ctx.path === '/token'
    const hindered = SERVERS_ASK.includes(ctx.path) && (await this.fault.hinders({ last }))
    // A client that has disconnected gets no answer, and its request cannot be read any more.
    if (hindered || ctx.req.destroyed) {
      ctx.status = 503
      return
    }
    await next()
    const body = ctx.body as { id_token?: unknown } | undefined
    const [key] = this.#keys
    if (!last || typeof body?.id_token !== 'string' || key === undefined) return
    ctx.body = { ...body, id_token: untrue(body.id_token, this.fault.take(), key) }
  }

  /** @returns `undefined` if the provider has already answered with a redirect */
  async #decide(req: IncomingMessage, res: ServerResponse): Promise<Answer | undefined> {
    const interaction = await this.#provider.interactionDetails(req, res)
    if (req.method !== 'POST') return this.#choice(interaction)
    const form = await formOf(req)
    const error = this.fault.refusal(form)
    const person = this.#settings.people.find(({ id }) => id === form.get('person'))
    if (error === undefined && person === undefined) return this.#choice(interaction)
    const result = error === undefined && person !== undefined ? await this.#granted(interaction, person) : { error }
    await this.#provider.interactionFinished(req, res, result)
    return undefined
  }

  #choice({ uid, params }: Interaction): Answer {
    const { label, people } = this.#settings
    const choice = { label, people, application: String(params.redirect_uri), action: `/interaction/${uid}` }
    return page(200, choicePage({ ...choice, faults: this.fault.kinds, fault: this.fault.now }))
  }

  async #granted(interaction: Interaction, { id }: Person) {
    if (interaction.session !== undefined && interaction.session.accountId !== id) await this.#forget(interaction)
    const { client_id: clientId, scope, access_type: access } = interaction.params
    const grant = new this.#provider.Grant({ accountId: id, clientId: String(clientId) })
    grant.addOIDCScope(String(scope))
    const grantId = await grant.save()
    if (access === 'offline') this.#offlineGrants.add(grantId)
    return { login: { accountId: id, amr: ['pwd'] }, consent: { grantId } }
  }

  /** Forgets the previous login, so that the next user of the browser need not log it out first. */
  async #forget(interaction: Interaction): Promise<void> {
    const session = await this.#provider.Session.findByUid(interaction.session?.uid ?? '')
    await session?.destroy()
    delete (interaction as { session?: unknown }).session
    await interaction.persist()
  }

  #failed(error: unknown): Answer {
    const { label } = this.#settings
    if (!(error instanceof errors.SessionNotFound)) return page(500, sayingPage(label, 'Broken', String(error)))
    const text = 'This login is over, or was begun in another browser. Go back to where you came from.'
    return page(400, sayingPage(label, 'Too late', text))
  }
}

/** The parts of a request that are read here. */
interface Asked {
  readonly req: IncomingMessage
  readonly path: string
  status: number
  body: unknown
}

function recordsByKind(): (kind: string) => Adapter {
  const records = new Map<string, Adapter>()
  return (kind) => {
    const known = records.get(kind) ?? providerRecords()
    records.set(kind, known)
    return known
  }
}

/** The sessions, codes and tokens of one provider, in memory. */
function providerRecords(): Adapter {
  const entries = new Map<string, { record: AdapterPayload; until: number }>()
  const live = (entry: { record: AdapterPayload; until: number } | undefined) =>
    entry !== undefined && entry.until > Date.now() ? entry.record : undefined
  return {
    async upsert(id, record, lifetime = Number.POSITIVE_INFINITY) {
      entries.set(id, { record, until: Date.now() + lifetime * 1000 })
    },
    find: async (id) => live(entries.get(id)),
    findByUid: async (uid) => live([...entries.values()].find(({ record }) => record.uid === uid)),
    // Only devices without a browser use such codes.
    findByUserCode: async () => undefined,
    async consume(id) {
      const record = entries.get(id)?.record
      if (record !== undefined) record.consumed = Math.floor(Date.now() / 1000)
    },
    async destroy(id) {
      entries.delete(id)
    },
    async revokeByGrantId(grantId) {
      for (const [id, { record }] of entries) if (record.grantId === grantId) entries.delete(id)
    },
  }
}

/** The usual rules, but every login asks for the user, also if the provider knows one. Choosing a user is its purpose. */
function alwaysAsking(): interactionPolicy.DefaultPolicy {
  const policy = interactionPolicy.base()
  const always = new interactionPolicy.Check(
    'always_asked',
    'a user must be chosen',
    ({ oidc }) => oidc.params?.prompt !== 'none' && oidc.result?.login === undefined,
  )
  policy.get('login')?.checks.add(always)
  return policy
}
