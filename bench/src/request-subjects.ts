/** The rows of the request bench. */

export interface Subject {
  readonly name: string
  /** A key of `variants` in `request-variants.ts`. */
  readonly variant: string
  readonly path: '/' | '/public'
  readonly cookies: boolean
  /** The subject whose CPU is subtracted. */
  readonly over: string
  readonly goal?: Goal
}

/** An upper limit: a figure, another subject's figure plus `within`, or a part of it. */
export type Goal = number | ({ readonly of: string } & ({ readonly within: number } | { readonly part: number }))

/** The subject whose requests are the unit of B. */
export const unit = 'node:http bare'

const frameworks = [
  // The bare servers ignore the cookie, but get one too: Node parses it as a header field.
  { variant: 'node', title: 'node:http', bare: unit },
  { variant: 'express', title: 'Express', bare: 'Express bare' },
  { variant: 'fastify', title: 'Fastify', bare: 'Fastify bare' },
] as const

type Title = (typeof frameworks)[number]['title']

/** Goals by framework. A figure without a goal is measured, too. */
const stores: readonly { store: string; title: string; goals: Partial<Record<Title, Goal>> }[] = [
  { store: 'memory', title: 'memory', goals: { 'node:http': 0.25, Express: 0.65 } },
  { store: 'sqlite', title: 'SQLite', goals: { 'node:http': 1 } },
  { store: 'redis', title: 'Redis', goals: { 'node:http': 0.5, Express: 0.75, Fastify: 0.6 } },
  { store: 'postgres', title: 'PostgreSQL', goals: { 'node:http': 0.8, Express: 1.4 } },
  { store: 'cached redis', title: 'near cache over Redis', goals: nearMemory() },
  { store: 'cached postgres', title: 'near cache over PostgreSQL', goals: nearMemory() },
]

const [express, fastify] = ['Express bare', 'Fastify bare']

const [third, tenth] = [1 / 3, 1 / 10]

// The drop-ins on connect-redis and connect-pg-simple ask for one session at a time, so they may miss their goals.
// Each drop-in follows its original. PostgreSQL is last, because it goes on writing after its row.
const peers: readonly { variant: string; title: string; over: string; goal?: Goal }[] = [
  { variant: '@fastify/session memory', title: '@fastify/session, memory, Fastify', over: fastify },
  { variant: '@fastify/session redis', title: '@fastify/session + connect-redis, Fastify', over: fastify },
  { variant: 'express-session memory', title: 'express-session + passport, memory, Express', over: express },
  {
    variant: 'drop-ins memory',
    title: 'the same application on the drop-ins, memory, Express',
    over: express,
    goal: { part: third, of: 'express-session + passport, memory, Express' },
  },
  { variant: 'express-session redis', title: 'express-session + passport + connect-redis, Express', over: express },
  {
    variant: 'drop-ins redis',
    title: 'the same application on the drop-ins, connect-redis, Express',
    over: express,
    goal: { part: third, of: 'express-session + passport + connect-redis, Express' },
  },
  {
    variant: 'express-session postgres',
    title: 'express-session + passport + connect-pg-simple, PostgreSQL, Express',
    over: express,
  },
  {
    variant: 'drop-ins postgres',
    title: 'the same application on the drop-ins, connect-pg-simple, PostgreSQL, Express',
    over: express,
    goal: { part: tenth, of: 'express-session + passport + connect-pg-simple, PostgreSQL, Express' },
  },
]

export const subjects: readonly Subject[] = [
  ...frameworks.map(({ variant, bare }) => authenticated(bare, `${variant} bare`, bare)),
  anonymous('Express bare, anonymous', 'express bare'),
  ...stores.flatMap(({ store, title, goals }) =>
    frameworks.map((framework) =>
      authenticated(
        `gatepass, ${title}, ${framework.title}`,
        `${framework.variant} ${store}`,
        framework.bare,
        goals[framework.title],
      ),
    ),
  ),
  ...peers.map(({ variant, title, over, goal }) => authenticated(title, variant, over, goal)),
  anonymous('gatepass, anonymous, Express', 'express memory', 0.4),
  anonymous('express-session + passport, anonymous, Express', 'express-session memory'),
  authenticated('sealed cookie, node:http', 'node sealed cookie', unit, 1.2),
  authenticated('signed cookie, node:http', 'node signed cookie', unit, 0.6),
]

function nearMemory(): Record<Title, Goal> {
  return {
    'node:http': { within: 0.15, of: 'gatepass, memory, node:http' },
    Express: { within: 0.15, of: 'gatepass, memory, Express' },
    Fastify: { within: 0.15, of: 'gatepass, memory, Fastify' },
  }
}

function authenticated(name: string, variant: string, over: string, goal?: Goal): Subject {
  return { name, variant, path: '/', cookies: true, over, ...(goal !== undefined && { goal }) }
}

function anonymous(name: string, variant: string, goal?: Goal): Subject {
  const over = 'Express bare, anonymous'
  return { name, variant, path: '/public', cookies: false, over, ...(goal !== undefined && { goal }) }
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
