import { domainToASCII } from 'node:url'

/** An address as its owner typed it, and the key by which it is unique. */
export interface EmailAddress {
  readonly address: string
  /** Local part in lower case, `@`, domain as A-labels in lower case. */
  readonly key: string
}

const LONGEST_ADDRESS = 254
const LONGEST_LOCAL_PART = 64

/**
 * Reads an e-mail address; the only place that does. Returns `undefined` for everything that two readers could understand
 * differently: quoted local parts, lists, comments, look-alike characters that turn into `@` or ASCII when normalised.
 */
export function parseEmailAddress(text: unknown): EmailAddress | undefined {
  if (typeof text !== 'string' || text.length > 2 * LONGEST_ADDRESS) return undefined
  const address = text.replace(/^[ \t]+|[ \t]+$/g, '')
  const [local = '', domain = '', ...more] = address.split('@')
  if (more.length > 0 || Buffer.byteLength(address) > LONGEST_ADDRESS) return undefined
  if (!isLocalPart(local) || normalisesToOtherAscii(address)) return undefined
  const ascii = domainKey(domain)
  return ascii === undefined ? undefined : { address, key: `${local.normalize('NFC').toLowerCase()}@${ascii}` }
}

function isLocalPart(local: string): boolean {
  if (local === '' || Buffer.byteLength(local) > LONGEST_LOCAL_PART) return false
  // RFC 5322 §3.2.3 dot-atom, and letters of other scripts as in RFC 6531; no control, format or space character of any script.
  return /^(?:[\w!#$%&'*+/=?^`{|}~.-]|[^\x00-\x7f])+$/.test(local) && !/^\.|\.\.|\.$|[\p{C}\p{Z}]/u.test(local)
}

/** Whether normalising turns another character into ASCII. Some mail and identity systems normalise addresses. */
function normalisesToOtherAscii(address: string): boolean {
  // Each character alone: together, a letter and its accent would become one character, and lose its ASCII.
  return address.match(/[^\x00-\x7f]/gu)?.some((character) => /[\x00-\x7f]/.test(character.normalize('NFKC'))) ?? false
}

function domainKey(domain: string): string | undefined {
  // U+3002 is a full stop only in domain names (RFC 3490 §3.1), and they would drop invisible characters.
  if (/[\x00-\x20%/\\:?#[\]\u3002\p{C}\p{Z}]/u.test(domain)) return undefined
  const ascii = domainToASCII(domain).toLowerCase()
  const labels = ascii.split('.')
  const last = labels.at(-1) ?? ''
  if (labels.length < 2 || /^\d*$/.test(last)) return undefined
  return labels.every((label) => /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(label)) ? ascii : undefined
}
