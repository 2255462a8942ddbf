import { hostname } from 'node:os'
import { type Logger, pino, stdTimeFunctions } from 'pino'
import type { Config } from '../settings/config.ts'

export type Log = Logger

/** Where finished lines go: standard output, or a list in tests. */
export type WriteLine = (line: string) => void

/** Writes one line per event: JSON in production, words in dev. */
export function openLog(
  { mode, logLevel }: Pick<Config, 'mode' | 'logLevel'>,
  write: WriteLine = (line) => process.stdout.write(line),
): Log {
  const render = mode === 'dev' ? devLine : (line: string) => line
  return pino(
    {
      level: logLevel,
      messageKey: 'message',
      base: { node: hostname() },
      timestamp: () => stdTimeFunctions.isoTime().replace('"time"', '"ts"'),
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: (line: string) => write(`${onOneLine(render(line.trimEnd()))}\n`) },
  )
}

/** JSON escapes only the control characters of ASCII, but some readers break lines at others, too. */
function onOneLine(line: string): string {
  return line.replace(
    /[\x00-\x1f\x7f-\x9f\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** `09:15:02 info  authn_login_success user=… ip=…`, made from the JSON line. */
function devLine(json: string): string {
  const { level, ts, node: _, event, message, err, ...fields } = JSON.parse(json) as Record<string, unknown>
  const pairs = Object.entries(fields).map(
    ([name, value]) => `${name}=${typeof value === 'string' ? plain(value) : JSON.stringify(value)}`,
  )
  const error = errorText(err)
  return [String(ts).slice(11, 19), String(level).padEnd(5), event ?? '', message ?? '', ...pairs, error]
    .filter((word) => word !== '')
    .join(' ')
}

function plain(text: string): string {
  return /^[\w@.:/+-]+$/.test(text) ? text : JSON.stringify(text)
}

function errorText(error: unknown): string {
  if (typeof error !== 'object' || error === null) return ''
  return 'stack' in error ? String(error.stack).replaceAll(/\n\s*/g, ' | ') : JSON.stringify(error)
}
