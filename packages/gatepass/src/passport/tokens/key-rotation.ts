import { UsageError } from '../../error.ts'
import type { Timestamp } from '../../session/store.ts'

/** When a key begins to sign; it ends with the beginning of the next. */
export interface Scheduled {
  readonly activeAt: Timestamp
}

/** Keys in the order in which they sign. */
export interface KeyPlan<Key extends Scheduled> {
  readonly keys: readonly Key[]
}

/** How keys follow each other. Milliseconds. */
export interface Rotation {
  readonly rotateAfter: number
  /** For how long a key stays published after it last signed. */
  readonly retireAfter: number
  isDue(plan: KeyPlan<Scheduled>, now: Timestamp): boolean
}

const DAY = 24 * 60 * 60 * 1000

/**
 * For how long a key is published before it signs: verifiers may keep the document for an hour, and a process that rotates
 * another one's keys may have read them a while ago.
 */
const AHEAD = 2 * DAY
const LEAST_AHEAD = DAY

/** @throws {UsageError} `ERR_TOKEN_OPTIONS` */
export function rotationOf(options: { readonly rotateAfter: number; readonly longestLifetime: number }): Rotation {
  const { rotateAfter, longestLifetime } = options
  if (!(rotateAfter >= 7 * DAY && rotateAfter <= 366 * DAY && longestLifetime > 0 && longestLifetime <= 7 * DAY)) {
    throw new UsageError(
      'ERR_TOKEN_OPTIONS',
      '`rotateAfterDays` or `longestLifetime` of signing keys is out of range',
      {
        hint: 'Rotate after 7 to 366 days; a token lives for seconds, a week at most.',
      },
    )
  }
  const rotation = { rotateAfter, retireAfter: longestLifetime + DAY }
  return { ...rotation, isDue: (plan, now) => needsNext(plan, rotation, now) || oldest(plan, rotation, now) > 0 }
}

/**
 * The plan with a next key where it is time for one, and without those whose last token has long expired; the same object
 * where nothing is to be done.
 */
export function rotated<Key extends Scheduled>(
  plan: KeyPlan<Key> | undefined,
  rotation: Pick<Rotation, 'rotateAfter' | 'retireAfter'>,
  now: Timestamp,
  generate: (activeAt: Timestamp) => Key,
): KeyPlan<Key> {
  const newest = plan?.keys.at(-1)
  // Of the very first key nobody can have heard: it signs at once.
  if (plan === undefined || newest === undefined) return { keys: [generate(now)] }
  const retired = oldest(plan, rotation, now)
  if (!needsNext(plan, rotation, now)) return retired === 0 ? plan : { keys: plan.keys.slice(retired) }
  // Later than planned, where nobody asked for the keys in time: a key that nobody could know signs nothing.
  const activeAt = Math.max(newest.activeAt + rotation.rotateAfter, now + LEAST_AHEAD)
  return { keys: [...plan.keys.slice(retired), generate(activeAt)] }
}

function needsNext(plan: KeyPlan<Scheduled>, { rotateAfter }: Pick<Rotation, 'rotateAfter'>, now: Timestamp): boolean {
  const newest = plan.keys.at(-1)
  return newest === undefined || now >= newest.activeAt + rotateAfter - AHEAD
}

/** How many of the oldest keys have retired: whatever their successors took over from them has expired. */
function oldest(plan: KeyPlan<Scheduled>, { retireAfter }: Pick<Rotation, 'retireAfter'>, now: Timestamp): number {
  return plan.keys.slice(1).filter(({ activeAt }) => activeAt + retireAfter <= now).length
}
