import type { Exchange } from '../http/exchange.ts'

/** The device and address that a session began on, for the user's device list. */
export interface ClientSummary {
  /** `Firefox on Linux`, `Safari on iPhone`, `curl`, `unknown device`. */
  readonly device: string
  readonly address?: string | undefined
}

export function clientOf(exchange: Exchange): ClientSummary {
  return { device: deviceOf(exchange.header('user-agent')), address: exchange.remoteAddress }
}

/** Guesses browser and system from a User-Agent field. Show the result to people; do not base decisions on it. */
export function deviceOf(userAgent: string | undefined): string {
  const text = (userAgent ?? '').slice(0, 512)
  const [, program] = PROGRAMS.find(([part]) => text.includes(part)) ?? []
  const [, system] = SYSTEMS.find(([part]) => text.includes(part)) ?? []
  if (system === undefined) return program ?? 'unknown device'
  return `${program ?? 'unknown browser'} on ${system}`
}

type Names = readonly (readonly [part: string, name: string])[]

// The first match counts: almost every browser also claims to be the browsers below it.
const PROGRAMS: Names = [
  ['Edg/', 'Edge'],
  ['EdgA/', 'Edge'],
  ['EdgiOS/', 'Edge'],
  ['OPR/', 'Opera'],
  ['OPT/', 'Opera'],
  ['SamsungBrowser/', 'Samsung Internet'],
  ['Vivaldi/', 'Vivaldi'],
  ['YaBrowser/', 'Yandex Browser'],
  ['DuckDuckGo/', 'DuckDuckGo'],
  ['FxiOS/', 'Firefox'],
  ['Firefox/', 'Firefox'],
  ['CriOS/', 'Chrome'],
  ['HeadlessChrome/', 'headless Chrome'],
  ['Chromium/', 'Chromium'],
  ['Chrome/', 'Chrome'],
  ['Safari/', 'Safari'],
  ['curl/', 'curl'],
  ['Wget/', 'Wget'],
  ['HTTPie/', 'HTTPie'],
  ['PostmanRuntime/', 'Postman'],
  ['okhttp/', 'OkHttp'],
  ['python-requests/', 'Python'],
  ['Python-urllib/', 'Python'],
  ['Go-http-client/', 'Go'],
  ['Java/', 'Java'],
  ['undici', 'Node.js'],
  ['node', 'Node.js'],
]

const SYSTEMS: Names = [
  ['iPhone', 'iPhone'],
  ['iPad', 'iPad'],
  ['Android', 'Android'],
  ['Windows', 'Windows'],
  ['CrOS', 'ChromeOS'],
  ['Macintosh', 'macOS'],
  ['Linux', 'Linux'],
]
