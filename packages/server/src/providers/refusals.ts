import type { Rejection } from 'gatepass'
import { linkEnded, type Problem } from '../web/problem.ts'

/** What a person is told when a login with a provider failed. */
export function providerProblem({ failures }: Rejection, label: string): Problem {
  const [failure] = failures
  const code = failure?.code ?? 'ERR_OAUTH_PROVIDER'
  if (code === linkEnded.code) return linkEnded
  switch (failure?.reason) {
    case 'denied':
      return {
        status: 403,
        code,
        remedy: 'try again',
        title: 'You cancelled the login',
        message: `${label} says that you cancelled the login. Nothing was changed.`,
        hint: 'Try again, or log in another way.',
      }
    case 'expired':
      return {
        status: 400,
        code,
        remedy: 'try again',
        title: 'This login has ended',
        message: 'It was completed already, took longer than ten minutes, or was started in another browser.',
        hint: 'Start again.',
      }
    case 'unavailable':
      return {
        status: 503,
        code,
        remedy: 'try again',
        title: `${label} does not answer`,
        message: `${label} is down or too slow at the moment. Nothing was changed.`,
        hint: 'Try again in a minute, or log in another way.',
        retryAfter: 60,
      }
    default:
      return {
        status: 502,
        code,
        remedy: 'try again',
        title: `${label}’s answer could not be verified`,
        message: `The answer of ${label} does not belong to this login. You were not logged in.`,
        hint: 'Try again. If that does not help, log in another way, and tell the operator of this site.',
      }
  }
}
