import type { Rejection } from 'gatepass'
import { linkEnded, type Problem } from '../web/problem.ts'

/** What a person is told when a login with a provider failed, by the first thing that was wrong. */
export function providerProblem({ failures }: Rejection, label: string): Problem {
  const [failure] = failures
  const code = failure?.code ?? 'ERR_OAUTH_PROVIDER'
  if (code === linkEnded.code) return linkEnded
  switch (failure?.reason) {
    case 'denied':
      return {
        status: 403,
        code,
        title: 'You cancelled',
        message: `${label} says that the login was cancelled. Nothing was changed.`,
        hint: 'Try again, or log in another way.',
      }
    case 'expired':
      return {
        status: 400,
        code,
        title: 'This login is over',
        message: 'It was finished before, took longer than ten minutes, or was begun in another browser.',
        hint: 'Begin again; nothing of the earlier try is needed.',
      }
    case 'unavailable':
      return {
        status: 503,
        code,
        title: `${label} does not answer`,
        message: `${label} is down, or too slow, at the moment. Nothing was changed.`,
        hint: 'Try again in a minute, or log in another way.',
        retryAfter: 60,
      }
    default:
      return {
        status: 502,
        code,
        title: 'That cannot be believed',
        message: `What ${label} answered does not belong to this login. Nobody was logged in.`,
        hint: 'Try again. If that does not help, log in another way, and tell the operator of this site.',
      }
  }
}
