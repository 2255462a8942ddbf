import { html } from 'hono/html'
import type { Markup } from './answer.ts'
import { layout, type PageFrame } from './layout.ts'
import type { Problem } from './problem.ts'

export interface ErrorView {
  readonly problem: Problem
  /** Under which the log has more. */
  readonly requestId: string | undefined
  /** Of the request; decides where the link leads. */
  readonly path: string
  /** What can be done next, the best first; default by status and path. */
  readonly nextSteps?: readonly NextStep[]
}

/** A link out of a page. */
export interface NextStep {
  readonly href: string
  readonly text: string
}

export function errorPage(frame: PageFrame, { problem, requestId, path, nextSteps }: ErrorView): Markup {
  const { status, code, message, hint } = problem
  const title = problem.title ?? titles[status] ?? (status < 500 ? 'That did not work' : 'Something is broken here')
  const body = html`<div class="card">
<p class="status">${status}</p>
<h1>${title}</h1>
<p class="lead">${message}</p>
${hint === undefined ? '' : html`<p>${hint}</p>`}
<p class="actions">${(nextSteps ?? [stepFrom(frame, status, path)]).map(stepButton)}</p>
<p class="hint">${code}${requestId === undefined || status < 500 ? '' : html` <span class="dot">·</span> reference ${requestId}`}</p>
</div>`
  return layout(frame, { title, failed: true, width: frame.account === undefined ? 'narrow' : 'wide', body })
}

function stepButton({ href, text }: NextStep, index: number): Markup {
  return html`<a class="button${index === 0 ? '' : ' second'}" href="${href}">${text}</a>`
}

const titles: Readonly<Record<number, string>> = {
  400: 'That request cannot be understood',
  401: 'Please log in',
  403: 'That is not allowed',
  404: 'Nothing here',
  405: 'This page cannot be opened directly',
  408: 'That took too long',
  409: 'Another request was faster',
  413: 'That is too much',
  415: 'This format is not accepted',
  417: 'That expectation cannot be met',
  421: 'Unknown address',
  429: 'Too many tries',
  431: 'Too many cookies',
  500: 'Something is broken here',
  503: 'Just a moment',
}

/** From a form that was refused, back to the form; from any other page, to the start page or the account. */
function stepFrom(frame: PageFrame, status: number, path: string): NextStep {
  if (status < 500 && path === '/auth/login') return { href: '/login', text: 'Back to the login' }
  if (status < 500 && path === '/auth/register') return { href: '/register', text: 'Back to the form' }
  if (status === 401) return { href: '/login', text: 'Log in' }
  if (status < 500 && path.startsWith('/account/sessions'))
    return { href: '/account/sessions', text: 'Back to your devices' }
  return frame.account === undefined
    ? { href: '/', text: 'To the start page' }
    : { href: '/account', text: 'To your account' }
}
