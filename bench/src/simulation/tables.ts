/** The numbers for many machines in docs/scaling.md, and the assumptions behind them. */
import type { EngineCosts, MeasuredCosts } from './costs.ts'
import { processorsFor, simulateEngine } from './engine.ts'
import { type Day, type Habits, scaled, simulateDay } from './population.ts'
import { simulateLoss } from './regions.ts'
import { operations, type Policy } from './sessions.ts'
import { simulateTurns, type Turns } from './turns.ts'

export interface Table {
  readonly title: string
  readonly head: readonly string[]
  readonly rows: readonly (readonly string[])[]
}

const DAY = 24 * 3600
const MILLION = 1_000_000

export const assumptions = {
  habits: {
    visitsPerDay: 1,
    skew: 0.6,
    pagesPerVisit: 10,
    betweenPages: 20,
    changes: 0.05,
    logouts: 0.02,
    swing: 0.8,
  } satisfies Habits,
  /** For a remembered login. */
  policy: { touchInterval: 60, idleTimeout: 14 * DAY, absoluteTimeout: 30 * DAY } satisfies Policy,
  nearCache: { maxSessions: 50_000, maxAge: 60 },
  /** How many browsers are simulated, as a sample. */
  browsers: 4000,
  settlingDays: 32,
  /** The application's own work for a request, and the way to the engine and back. Microseconds. */
  application: 300,
  roundTrip: { near: 500, otherRegion: 60_000 },
  /** The share of the busiest hour in which processes and engines work. */
  load: 0.5,
  /** Memory of one Redis shard, and processors of a PostgreSQL server. */
  shardBytes: 16 * 2 ** 30,
  processors: 16,
  /** Average delay of a replica in another region. Seconds. */
  lag: 0.2,
  /** Processor time for checking a password. Seconds. */
  passwordCheck: 0.012,
  regions: 3,
  seed: 1,
} as const

export function simulationTables(costs: MeasuredCosts): Table[] {
  const day = sampleDay()
  const applications = [
    ...[1, 10, 100].map((millions) => ({ sessions: `${millions} million`, day: at(millions, day) })),
    { sessions: '100 million, busy', day: at(100, busyDay()) },
  ]
  return [
    operationsTable(applications),
    touchTable(costs.redis),
    nearCacheTable(day),
    coalescingTable(costs),
    enginesTable(costs, applications),
    roundTripsTable(day),
    lossTable(day),
  ]
}

function sampleDay(policy: Policy = assumptions.policy, near?: { count: number; sticky: boolean }): Day {
  const { habits, browsers, settlingDays, nearCache, seed } = assumptions
  const processes = near === undefined ? {} : { processes: { ...near, ...nearCache } }
  return simulateDay({ habits, policy, browsers, settlingDays, seed, ...processes })
}

/** A tenth of the browsers, ten times as often: the number of visits is the same. */
function busyDay(): Day {
  const { habits, browsers, settlingDays, policy, seed } = assumptions
  const often = { ...habits, visitsPerDay: 10 * habits.visitsPerDay }
  return simulateDay({ habits: often, policy, browsers: browsers / 10, settlingDays, seed })
}

interface Application {
  readonly sessions: string
  readonly day: Day
}

function operationsTable(applications: readonly Application[]): Table {
  const rows = applications.map(({ sessions, day: { peak, requests } }) => {
    const perSecond = operations.map((operation) => rounded(peak.operations[operation]))
    return [sessions, rounded(requests / DAY), rounded(peak.requests), ...perSecond]
  })
  const head = ['live sessions', 'requests/s', 'at the busiest hour', ...operations.map((what) => `${what}/s then`)]
  return { title: 'requests and operations', head, rows }
}

function touchTable(costs: EngineCosts): Table {
  const rows = [10, 60, 300, 900].map((touchInterval) => {
    const { peak, operations: all, requests } = at(100, sampleDay({ ...assumptions.policy, touchInterval }))
    const share = processorsFor(costs, { ...nothing, touch: peak.operations.touch }, 1)
    return [
      `${touchInterval} s`,
      (all.touch / requests).toFixed(2),
      rounded(peak.operations.touch),
      `${((100 * share) / processorsFor(costs, peak.operations, 1)).toFixed(0)} %`,
      `${rounded((peak.operations.touch * ANNOUNCEMENT) / 1000)} kB/s`,
    ]
  })
  const head = [
    '`touchInterval`',
    'touches per request',
    'touches/s',
    'of the work of Redis',
    'announced to each process',
  ]
  return { title: 'the touch interval at a hundred million', head, rows }
}

/** Bytes of the message that announces a change to a near cache. */
const ANNOUNCEMENT = 100
const nothing = { load: 0, login: 0, touch: 0, change: 0, logout: 0 }

function nearCacheTable(without: Day): Table {
  const share = (day: Day) => (day.operations.load / without.operations.load) * 100
  const rows = [
    ['one process', { count: 1, sticky: true }],
    ['four, whichever is free', { count: 4, sticky: false }],
    ['sixteen, whichever is free', { count: 16, sticky: false }],
    ['sixteen, each browser its own', { count: 16, sticky: true }],
  ] as const
  return {
    title: 'the near cache',
    head: ['processes', 'reads answered by the cache', 'loads per request'],
    rows: rows.map(([name, near]) => {
      const day = sampleDay(assumptions.policy, near)
      return [name, `${(100 - share(day)).toFixed(0)} %`, (day.operations.load / day.requests).toFixed(2)]
    }),
  }
}

function turnsAt(load: number, costs: MeasuredCosts, application: number = assumptions.application): Turns {
  const { seed, roundTrip } = assumptions
  const request = application + costs.request.redis
  return simulateTurns({ load, request, command: COMMAND, answer: roundTrip.near, seed })
}

/** Time of a server process for writing a command and reading its answer. Microseconds. */
const COMMAND = 15

function coalescingTable(costs: MeasuredCosts): Table {
  const rows = [30, 300].flatMap((application) =>
    [0.25, 0.5, 0.75, 0.9].map((load) => {
      const { requestsPerSecond, meanBatch } = turnsAt(load, costs, application)
      const reads = { ...nothing, load: 1e6 }
      const each = (engine: EngineCosts) => processorsFor(engine, reads, meanBatch).toFixed(1)
      return [
        `${application} µs`,
        `${100 * load} %`,
        rounded(requestsPerSecond),
        meanBatch.toFixed(1),
        `${each(costs.redis)} µs`,
        `${each(costs.postgres)} µs`,
      ]
    }),
  )
  const head = ['application', 'load', 'requests/s', 'lookups per command', 'Redis, each', 'PostgreSQL, each']
  return { title: 'lookups of one turn, by the load of a process', head, rows }
}

function enginesTable(costs: MeasuredCosts, applications: readonly Application[]): Table {
  const turns = turnsAt(assumptions.load, costs)
  const rows = applications.flatMap((application) => [
    redisRow(application, costs.redis, turns),
    postgresRow(application, costs.postgres, turns),
  ])
  const head = ['live sessions', 'engine', 'held', 'processors busy', 'needed', 'a read: p50', 'p99']
  return { title: 'engines at the busiest hour', head, rows }
}

/** One server, as long as it is enough. In a cluster each lookup is its own command, unless two share a slot. */
function redisRow({ sessions, day: { peak, live } }: Application, costs: EngineCosts, turns: Turns): string[] {
  const { load, shardBytes, seed } = assumptions
  const held = live * costs.bytes
  const alone = processorsFor(costs, peak.operations, turns.meanBatch)
  const single = held <= shardBytes && alone <= load
  const batches = single ? turns.batches : [1]
  const busy = single ? alone : processorsFor(costs, peak.operations, 1)
  const shards = single ? 1 : Math.max(Math.ceil(held / shardBytes), Math.ceil(busy / load))
  const waiting = simulateEngine({ costs, rates: scaled(peak.operations, 1 / shards), batches, workers: 1, seed })
  const needed = single ? 'one server' : `${shards} shards`
  return [sessions, 'Redis', bytes(held), busy.toFixed(2), needed, ...withWay(waiting)]
}

function postgresRow({ sessions, day: { peak, live } }: Application, costs: EngineCosts, turns: Turns): string[] {
  const { load, processors, seed } = assumptions
  const busy = processorsFor(costs, peak.operations, turns.meanBatch)
  const servers = Math.max(1, Math.ceil(busy / (load * processors)))
  const rates = scaled(peak.operations, 1 / servers)
  const waiting = simulateEngine({ costs, rates, batches: turns.batches, workers: processors, seed })
  const needed =
    servers === 1
      ? `one server, ${Math.max(2, Math.ceil(busy / load))} processors`
      : `${servers} servers of ${processors}`
  return [sessions, 'PostgreSQL', bytes(live * costs.bytes), busy.toFixed(2), needed, ...withWay(waiting)]
}

function withWay({ p50, p99 }: { p50: number; p99: number }): string[] {
  return [p50, p99].map((micros) => `${((micros + assumptions.roundTrip.near) / 1000).toFixed(2)} ms`)
}

/** How long a page waits for its session, without the engine's own time. */
function roundTripsTable(without: Day): Table {
  const { near, otherRegion } = assumptions.roundTrip
  const cached = sampleDay(assumptions.policy, { count: 16, sticky: true })
  const rows = [
    ['in the same region', near, without],
    ['in another region', otherRegion, without],
    ['in another region, near cache', otherRegion, cached],
  ] as const
  const milliseconds = (micros: number) => `${rounded(micros / 1000)} ms`
  return {
    title: 'round trips of a page, by where the engine is',
    head: ['engine', 'pages that wait for none', 'mean', 'p50', 'p99'],
    rows: rows.map(([name, roundTrip, { waiting, requests, ...day }]) => {
      const [none = 0, one = 0] = waiting
      const trips = (share: number) => (share * requests < none ? 0 : share * requests < none + one ? 1 : 2)
      const all = operations.reduce((sum, operation) => sum + day.operations[operation], 0)
      const times = [all / requests, trips(0.5), trips(0.99)].map((count) => milliseconds(count * roundTrip))
      return [name, `${((100 * none) / requests).toFixed(0)} %`, ...times]
    }),
  }
}

function lossTable(day: Day): Table {
  const { regions, lag, seed, passwordCheck } = assumptions
  const { live, backWithinAnHour, peak } = at(100, day)
  const unheard = simulateLoss({ rates: scaled(peak.operations, 1 / regions), lag, seed })
  const hour = backWithinAnHour / regions
  const cell = ([median, worst]: readonly [number, number]) => `${rounded(median)} (p99 ${rounded(worst)})`
  return {
    title: `the loss of one of ${regions} regions at a hundred million`,
    head: ['', 'without a replica elsewhere', `with one that is ${1000 * lag} ms behind`],
    rows: [
      ['sessions lost: logins to repeat', rounded(live / regions), cell(unheard.logins)],
      ['of these within the next hour', rounded(hour), cell(unheard.logins)],
      ['logins/s in that hour', rounded(hour / 3600), 'as ever'],
      ['processors that check their passwords', rounded((hour / 3600) * passwordCheck), '0'],
      ['changes lost', 'with their sessions', cell(unheard.changes)],
      ['ended sessions that are back', '0', cell(unheard.logouts)],
    ],
  }
}

/** The same day, scaled to this many millions of live sessions. */
function at(millions: number, day: Day): Day {
  const factor = (millions * MILLION) / day.live
  return {
    browsers: day.browsers * factor,
    live: day.live * factor,
    requests: day.requests * factor,
    operations: scaled(day.operations, factor),
    waiting: day.waiting.map((count) => count * factor),
    peak: { requests: day.peak.requests * factor, operations: scaled(day.peak.operations, factor) },
    backWithinAnHour: day.backWithinAnHour * factor,
  }
}

function bytes(count: number): string {
  const gigabytes = count / 2 ** 30
  return gigabytes >= 10 ? `${Math.round(gigabytes)} GiB` : `${gigabytes.toFixed(1)} GiB`
}

/** Two digits: more would look like knowledge. */
function rounded(value: number): string {
  return Number(value.toPrecision(2)).toLocaleString('en-US', { maximumFractionDigits: 2 })
}
