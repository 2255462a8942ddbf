import { describe, expect, test } from 'vitest'
import { type Anything, express, express4, implementations, original, type Session, site } from './site.ts'

type Step = readonly [method: 'GET' | 'POST', path: string]

const walk: readonly Step[] = [
  ['GET', '/ignore'],
  ['GET', '/'],
  ['POST', '/put/cart/book'],
  ['GET', '/'],
  ['GET', '/ignore'],
  ['POST', '/put/cart/pen'],
  ['POST', '/reload'],
  ['POST', '/login/ada'],
  ['GET', '/'],
  ['POST', '/put/a/1'],
  ['POST', '/remember'],
  ['GET', '/'],
  ['GET', '/ignore'],
  ['POST', '/lengthen'],
  ['GET', '/'],
  ['POST', '/remove/a'],
  ['POST', '/error'],
  ['POST', '/stream'],
  ['GET', '/'],
  ['POST', '/logout'],
  ['GET', '/'],
  ['POST', '/login/bob'],
  ['POST', '/unset'],
  ['GET', '/'],
]

/** Intended differences: the step, our answer, and the reason. */
const differences: readonly { readonly step: string; readonly only: string; readonly why: string }[] = [
  { step: 'POST /logout', only: 'set-cookie', why: 'a session that ends takes its cookie along' },
  ...['POST /remember', 'POST /remove/a'].flatMap((step) => [
    {
      step,
      only: 'content-length',
      why: 'nothing has left when the session is stored, so the length can still be said',
    },
    { step, only: 'transfer-encoding', why: 'for the same reason' },
  ]),
]

interface Answer {
  readonly step: string
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: string
  readonly stored: readonly unknown[]
}

/** Replaces ids by their order of appearance, and times by their distance. All else must be the same. */
class Names {
  readonly #ids: string[] = []

  cookie(field: string): string {
    const text = field.replace(/s%3A([\w-]+)\.[\w%]+/, (_, id: string) => this.#id(id))
    return text.replace(/Expires=([^;]+)/, (_, date: string) => `Expires=${this.time(date)}`)
  }

  stored(id: string, session: Anything): unknown {
    const { expires, originalMaxAge, ...cookie } = session.cookie
    const times = { expires: expires && this.time(expires), age: originalMaxAge && Math.round(originalMaxAge / 1000) }
    return { id: this.#id(id), ...session, cookie: { ...cookie, ...times } }
  }

  time(date: string): string {
    const left = Date.parse(date) - Date.now()
    return left < 0 ? 'past' : `in ${Math.round(left / 5000) * 5} s`
  }

  #id(id: string): string {
    if (!this.#ids.includes(id)) this.#ids.push(id)
    return `id ${this.#ids.indexOf(id)}`
  }
}

async function answersOf(framework: Anything, session: Session, options: Anything): Promise<Answer[]> {
  const store = new session.MemoryStore()
  const browser = await site(framework, session, { ...options, store })
  const names = new Names()
  const answers: Answer[] = []
  for (const [method, path] of walk) {
    const response = await browser.fetch(path, { method, manual: true })
    const { date: _, ...headers } = Object.fromEntries(response.headers)
    const cookies = response.headers.getSetCookie().map((field) => names.cookie(field))
    const body = (await response.text()).replace(/"age":(\d+)/, (_all, age) => `"age":${Math.round(age / 1000)}`)
    answers.push({
      step: `${method} ${path}`,
      status: response.status,
      headers: { ...headers, etag: 'any', 'set-cookie': cookies },
      body,
      stored: Object.entries(store.sessions).map(([id, text]) => names.stored(id, JSON.parse(text as string))),
    })
  }
  return answers
}

function withoutDifferences(answers: readonly Answer[]): Answer[] {
  return answers.map((answer) => {
    const headers = { ...answer.headers }
    for (const { step, only } of differences) if (step === answer.step) delete headers[only]
    return { ...answer, headers }
  })
}

const frameworks = [
  ['Express 5', express],
  ['Express 4', express4],
] as const
const settings: readonly Anything[] = [
  {},
  { resave: true, saveUninitialized: true },
  { rolling: true, cookie: { maxAge: 60_000 } },
  { cookie: { maxAge: 60_000, sameSite: 'strict', httpOnly: false, priority: 'high', partitioned: true } },
  { cookie: { secure: 'auto', sameSite: 'auto', domain: '127.0.0.1' }, proxy: true, name: 'id' },
  { cookie: { path: '/put' } },
]

describe.each(frameworks)('%s', (_, framework) => {
  test.each(settings.map((options) => [JSON.stringify(options), options]))(
    'the same requests get the same answers and leave the same records, with %s',
    async (_options, options) => {
      const [theirs, ours] = await Promise.all(
        implementations.map(([, session]) => answersOf(framework, session, options)),
      )
      expect(withoutDifferences(ours ?? [])).toEqual(withoutDifferences(theirs ?? []))
    },
  )
})

test('the differences are there', async () => {
  const [theirs, ours] = await Promise.all(implementations.map(([, session]) => answersOf(express, session, {})))
  for (const { step, only } of differences) {
    const [before, after] = [theirs, ours].map((answers) => answers?.find((answer) => answer.step === step))
    expect(after?.headers[only]).not.toEqual(before?.headers[only])
  }
})

test('unset: `destroy` ends the session, and its cookie in ours', async () => {
  const [theirs, ours] = await Promise.all(
    implementations.map(([, session]) => answersOf(express, session, { unset: 'destroy' })),
  )
  const at = (answers: Answer[] | undefined) => answers?.find(({ step }) => step === 'POST /unset')
  expect(at(ours)?.stored).toEqual(at(theirs)?.stored)
  expect(at(theirs)?.headers['set-cookie']).toEqual([])
  expect(at(ours)?.headers['set-cookie']).toEqual(['connect.sid=; Path=/; Expires=past; HttpOnly'])
})

test('the same exports', () => {
  const dropIn = implementations[1]?.[1]
  expect(Object.keys(dropIn)).toEqual(expect.arrayContaining(Object.keys(original)))
})
