import { parseCookie as peerParse, stringifySetCookie as peerStringify } from 'cookie'
import { sign, unsign } from 'cookie-signature'
import { Cookies, parseCookie, readCookie, sealedCookie, serializeSetCookie, signedCookie } from 'gatepass/cookie'
import { sealData, unsealData } from 'iron-session'
import { type Comparison, keep, measure, type Row } from './rows.ts'

const key = 'a key of more than 32 characters, for measuring'
const token = 'Gm3kTq0x7VbZs5yQpW8nRc2LhJ4dFa6uEe9oXi1tKjY'
const session = { subject: '42', name: 'Ada Lovelace', roles: ['editor', 'admin'], since: 1_767_225_600 }

export async function benchCookies(): Promise<Row[]> {
  meetVisitors()
  const rows: Row[] = []
  for (const comparison of await comparisons()) rows.push(await measure(comparison, 'ns'))
  return rows
}

async function comparisons(): Promise<Comparison[]> {
  return [...[1, 5, 20, 50].flatMap(reading), setting(), ...signing(), ...(await sealing())]
}

function reading(count: number): Comparison[] {
  const header = headerOf(count)
  const goal = count === 1 ? {} : { goal: 'at least 4 times faster' }
  const times = 200_000 / count
  const among = count === 1 ? 'the only cookie' : `one cookie of ${count}`
  return [
    {
      group: 'Cookie header',
      name: `read ${among}`,
      peerName: 'cookie',
      ...goal,
      times,
      ours: () => readCookie(header, 'sid'),
      peer: () => peerParse(header).sid,
    },
    {
      group: 'Cookie header',
      name: count === 1 ? 'parse a single cookie' : `parse all ${count}`,
      peerName: 'cookie',
      goal: 'no slower',
      times,
      ours: () => parseCookie(header),
      peer: () => peerParse(header),
    },
  ]
}

/** Parses many different headers first, as a server does. V8 compiles a parser that has seen one header for that header alone. */
function meetVisitors(): void {
  for (let visitor = 0; visitor < 2000; visitor++) {
    const pairs = Array.from({ length: 1 + (visitor % 60) }, (_, i) => `c${(visitor * 7 + i) % 211}=v${visitor}`)
    const header = pairs.join('; ')
    keep([parseCookie(header), peerParse(header), readCookie(header, 'sid')])
  }
}

/** The cookie that is read comes last, behind cookies like those of analytics scripts. */
function headerOf(count: number): string {
  const others = Array.from({ length: count - 1 }, (_, i) => `_ga_${i}K7=GS1.1.17000000${i}.${i}.1.1700000000`)
  return [...others, `sid=${token}`].join('; ')
}

function setting(): Comparison {
  const attributes = { path: '/', secure: true, httpOnly: true, sameSite: 'lax', maxAge: 3600 } as const
  const declared = Object.freeze({ ...attributes })
  return {
    group: 'Set-Cookie',
    name: 'write, five attributes',
    peerName: 'cookie',
    times: 20_000,
    ours: () => serializeSetCookie('sid', token, declared),
    peer: () => peerStringify({ name: 'sid', value: token, ...attributes }),
  }
}

function signing(): Comparison[] {
  const cookie = signedCookie('sid', { keys: [key] })
  const [raw, peerRaw] = [cookie.encode(token), sign(token, key)]
  const about = { group: 'Signed value', peerName: 'cookie-signature', times: 5000 }
  return [
    { ...about, name: 'sign', ours: () => cookie.encode(token), peer: () => sign(token, key) },
    { ...about, name: 'verify', ours: () => cookie.decode(raw), peer: () => unsign(peerRaw, key) },
  ]
}

async function sealing(): Promise<Comparison[]> {
  const cookie = sealedCookie<typeof session>('sid', { keys: [key] })
  const options = { password: key }
  const [raw, peerRaw] = [cookie.encode(session), await sealData(session, options)]
  const about = { group: 'Sealed value', peerName: 'iron-session', times: 200 }
  return [
    { ...about, name: 'seal', ours: () => cookie.encode(session), peer: () => sealData(session, options) },
    { ...about, name: 'unseal', ours: () => cookie.decode(raw), peer: () => unsealData(peerRaw, options) },
    {
      ...about,
      name: 'read and set in an exchange',
      ours: () => exchange(cookie, raw),
      peer: async () => sealData(await unsealData<typeof session>(peerRaw, options), options),
    },
  ]
}

function exchange(cookie: ReturnType<typeof sealedCookie<typeof session>>, raw: string): string[] {
  const cookies = new Cookies(`theme=dark; sid=${raw}`)
  cookies.set(cookie, cookies.get(cookie) ?? session)
  return cookies.setCookieFields()
}
