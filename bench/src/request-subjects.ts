/** The rows of the request bench. */

export interface Subject {
  readonly name: string
  /** A key of `variants` in `request-variants.ts`. */
  readonly variant: string
  /** At `/` a session says who asks. At `/public` a visitor without cookies asks. */
  readonly path: '/' | '/public'
  /** The subject whose CPU is subtracted. */
  readonly over: string
  readonly gatepass: boolean
  readonly goal?: Goal
}

/** An upper limit: a figure, or another subject's figure plus `within`. */
export type Goal = number | { readonly of: string; readonly within: number }

/** The subject whose requests are the unit of B. */
export const unit = 'node:http bare'

type Framework = 'node:http' | 'Express' | 'Fastify'

const nearMemory: Goal = { of: 'gatepass, memory, node:http', within: 0.1 }

export const subjects: readonly Subject[] = [
  // The bare servers ignore the cookie, but get one too: Node parses it as a header field.
  bare('node:http', 'node bare'),
  bare('Express', 'express bare'),
  bare('Fastify', 'fastify bare'),
  ours('gatepass, memory, node:http', 'node memory', 0.25),
  ours('gatepass, memory, Express', 'express memory', 0.55),
  ours('drop-ins for express-session + passport, memory, Express', 'drop-ins memory', 0.6),
  peer('express-session + passport, memory, Express', 'express-session memory'),
  ours('gatepass, memory, Fastify', 'fastify memory', 0.4),
  peer('@fastify/session, memory, Fastify', '@fastify/session memory'),
  ours('gatepass, SQLite, node:http', 'node sqlite', 0.8),
  ours('gatepass, SQLite, Express', 'express sqlite', 1.1),
  ours('gatepass, Redis, node:http', 'node redis', 0.5),
  ours('gatepass, near cache over Redis, node:http', 'node cached redis', nearMemory),
  ours('gatepass, Redis, Express', 'express redis', 0.75),
  ours('drop-ins for express-session + passport + connect-redis, Express', 'drop-ins own redis', 0.9),
  dropIns('drop-ins for express-session + passport, connect-redis, Express', 'drop-ins redis'),
  peer('express-session + passport, connect-redis, Express', 'express-session redis'),
  ours('gatepass, Redis, Fastify', 'fastify redis', 0.6),
  peer('@fastify/session, connect-redis, Fastify', '@fastify/session redis'),
  ours('gatepass, PostgreSQL, node:http', 'node postgres', 0.8),
  ours('gatepass, near cache over PostgreSQL, node:http', 'node cached postgres', nearMemory),
  ours('gatepass, PostgreSQL, Express', 'express postgres', 1.1),
  ours('drop-ins for express-session + passport + connect-pg-simple, Express', 'drop-ins own postgres', 1.4),
  dropIns('drop-ins for express-session + passport, connect-pg-simple, Express', 'drop-ins postgres'),
  peer('express-session + passport, connect-pg-simple, Express', 'express-session postgres'),
  anonymous(bare('Express', 'express bare')),
  anonymous(ours('gatepass, memory, Express', 'express memory', 0.12)),
  anonymous(peer('express-session + passport, memory, Express', 'express-session memory')),
  anonymous(bare('Fastify', 'fastify bare')),
  anonymous(ours('gatepass, memory, Fastify', 'fastify memory', 0.15)),
  anonymous(peer('@fastify/session, memory, Fastify', '@fastify/session memory')),
  ours('gatepass, sealed cookie, node:http', 'node sealed cookie', 0.35),
  peer('iron-session, node:http', 'iron-session'),
  ours('gatepass, signed cookie, node:http', 'node signed cookie', 0.35),
  peer('cookie-session, node:http', 'cookie-session'),
]

function bare(framework: Framework, variant: string): Subject {
  const name = `${framework} bare`
  return { name, variant, path: '/', over: name, gatepass: false }
}

function ours(name: string, variant: string, goal: Goal): Subject {
  return { ...peer(name, variant), gatepass: true, goal }
}

/** On a store from npm, which bounds what the drop-ins can save. */
function dropIns(name: string, variant: string): Subject {
  return { ...peer(name, variant), gatepass: true }
}

/** The name ends with the framework. */
function peer(name: string, variant: string): Subject {
  return { name, variant, path: '/', over: `${name.split(', ').at(-1)} bare`, gatepass: false }
}

function anonymous(subject: Subject): Subject {
  const { name, over } = subject
  return { ...subject, name: `${name}, anonymous`, over: `${over}, anonymous`, path: '/public' }
}

/**
 * The subjects whose name contains one of the words, and the subjects that they are compared with.
 *
 * @throws {Error} if no name contains a word
 */
export function chosen(words: readonly string[]): readonly Subject[] {
  if (words.length === 0) return subjects
  const named = words.flatMap(containing)
  const needed = new Set([unit, ...named.flatMap(({ name, over, goal }) => [name, over, ...comparedWith(goal)])])
  return subjects.filter(({ name }) => needed.has(name))
}

function containing(word: string): readonly Subject[] {
  const found = subjects.filter(({ name }) => name.toLowerCase().includes(word.toLowerCase()))
  if (found.length === 0) throw new Error(`no row has “${word}” in its name`)
  return found
}

function comparedWith(goal: Goal | undefined): readonly string[] {
  return typeof goal === 'object' ? [goal.of] : []
}
