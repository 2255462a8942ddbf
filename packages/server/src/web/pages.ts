import { html } from 'hono/html'
import type { Account } from '../accounts/accounts.ts'
import type { Auth } from '../services.ts'
import { type Markup, page } from './answer.ts'
import { doneIcon, mark, stylesheet, tabIcon } from './assets.ts'
import type { Fields } from './form.ts'
import { type Problem, problemHeaders, problemJson } from './problem.ts'
import type { ServerRequest } from './request.ts'

/** What every page says about the site, and who looks at it. */
export interface PageContext {
  readonly siteName: string
  /** Whether visitors may create accounts. */
  readonly registration: boolean
  /** Where people may log in besides here, in the order of the buttons. */
  readonly providers: readonly { readonly name: string; readonly label: string }[]
  readonly account: Account | undefined
  /** `undefined` on pages that cannot have a form. */
  readonly formToken: string | undefined
}

/** For pages that are shown before the site is known. */
export function bareContext(siteName: string): PageContext {
  return { siteName, registration: false, providers: [], account: undefined, formToken: undefined }
}

/** The pages of one site, and its refusals. */
export class Pages {
  readonly #auth: Auth
  /** For pages that must not ask the store, since the store may be what is broken. */
  readonly plainContext: PageContext

  constructor(auth: Auth, site: Pick<PageContext, 'siteName' | 'registration' | 'providers'>) {
    this.#auth = auth
    this.plainContext = { ...bareContext(site.siteName), ...site }
  }

  /** For pages that show who is logged in, and that have forms. */
  async context({ exchange }: ServerRequest): Promise<PageContext> {
    const account = await this.#auth.passport.user(exchange)
    return { ...this.plainContext, account, formToken: await this.#auth.gatepass.csrfToken(exchange) }
  }

  /** Refuses a request: with JSON for a program, with a page for a person. */
  async refuse(request: ServerRequest, problem: Problem): Promise<Response> {
    if (!request.wantsPage) return problemJson(problem)
    const context = await this.#contextFor(request, problem)
    const { requestId, path } = request
    return page(problem.status, errorPage(context, { problem, requestId, path }), problemHeaders(problem))
  }

  /** Refuses a form. A person gets the form again, filled in except for the password. */
  async refuseForm(
    request: ServerRequest,
    problem: Problem,
    form: (context: PageContext, fields: Fields) => Markup,
  ): Promise<Response> {
    if (!request.wantsPage) return problemJson(problem)
    const fields = await request.exchange.fields()
    const context = await this.#contextFor(request, problem)
    return page(problem.status, form(context, fields), problemHeaders(problem))
  }

  /** A refusal must arrive even if the store cannot say who is asking. */
  async #contextFor(request: ServerRequest, { status }: Problem): Promise<PageContext> {
    return status < 500 ? this.context(request).catch(() => this.plainContext) : this.plainContext
  }
}

export interface PageContent {
  readonly title: string
  /** Whether the page reports a failure. Its title then begins with "Error", because the title is read first. */
  readonly failed?: boolean
  /** Narrow pages ask for one thing; wide pages show the account. */
  readonly width: 'narrow' | 'wide'
  /** The entry of the navigation that this page is. */
  readonly current?: 'account' | 'devices'
  /** Where the browser goes by itself. */
  readonly forwardTo?: string
  readonly body: Markup
}

export function layout(context: PageContext, content: PageContent): Markup {
  const { title, failed = false, width, current, forwardTo, body } = content
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>${failed ? 'Error: ' : ''}${title} – ${context.siteName}</title>
${forwardTo === undefined ? '' : html`<meta http-equiv="refresh" content="0;url=${forwardTo}">`}<link rel="icon" href="${tabIcon.path}" type="image/svg+xml">
<link rel="stylesheet" href="${stylesheet.path}">
</head>
<body class="${width}">
<a class="skip" href="#main">Skip to content</a>
<header class="top">
<div class="inner">
<a class="brand" href="/">${mark}<span>${context.siteName}</span></a>
${context.account === undefined ? '' : navigation(context, current)}
</div>
</header>
<main id="main" tabindex="-1">
${body}
</main>
<footer class="bottom"><p>No tracking, no scripts. Only the cookies that logging in needs.</p></footer>
</body>
</html>`
}

function navigation(context: PageContext, current: PageContent['current']): Markup {
  const mark = (entry: PageContent['current']) => (entry === current ? html` aria-current="page"` : '')
  return html`<nav aria-label="Account">
<a href="/account"${mark('account')}>Account</a>
<a href="/account/sessions"${mark('devices')}>Devices</a>
</nav>
<form class="logout" method="post" action="/auth/logout">${formToken(context)}<button class="quiet" type="submit">Log out</button></form>`
}

/** Belongs into every form. */
export function formToken({ formToken }: PageContext): Markup | string {
  return formToken === undefined ? '' : html`<input type="hidden" name="csrf" value="${formToken}">`
}

/** Tells the person that their last step is done. */
export function noticeBox(notice: string | undefined): Markup | string {
  return notice === undefined ? '' : html`<div class="box done" role="status">${doneIcon}<p>${notice}</p></div>`
}

export interface ErrorView {
  readonly problem: Problem
  /** The log has more under this id. */
  readonly requestId: string | undefined
  /** Of the request; decides where the link leads. */
  readonly path: string
  /** What the person can do next, the best first. Default by status and path. */
  readonly nextSteps?: readonly NextStep[]
}

/** A link out of a page. */
export interface NextStep {
  readonly href: string
  readonly text: string
}

export function errorPage(context: PageContext, { problem, requestId, path, nextSteps }: ErrorView): Markup {
  const { status, code, message, hint } = problem
  const title = problem.title ?? titles[status] ?? (status < 500 ? 'That did not work' : 'Something is broken here')
  const steps = nextSteps ?? [stepFrom(context, status, path)]
  const body = html`<div class="card">
<p class="status">${status}</p>
<h1>${title}</h1>
<p class="lead">${message}</p>
${hint === undefined ? '' : html`<p>${hint}</p>`}
<p class="actions">${steps.map(({ href, text }, index) => html`<a class="button${index === 0 ? '' : ' second'}" href="${href}">${text}</a>`)}</p>
<p class="hint">${code}${requestId === undefined || status < 500 ? '' : html` <span class="dot">·</span> reference ${requestId}`}</p>
</div>`
  return layout(context, { title, failed: true, width: context.account === undefined ? 'narrow' : 'wide', body })
}

const titles: Readonly<Record<number, string>> = {
  400: 'This request cannot be understood',
  401: 'Please log in',
  403: 'This is not allowed',
  404: 'Nothing here',
  405: 'This page cannot be opened directly',
  408: 'That took too long',
  409: 'Another request was faster',
  413: 'The request is too large',
  415: 'This format is not accepted',
  417: 'This server cannot do what was asked',
  421: 'Unknown address',
  429: 'Too many tries',
  431: 'Too many cookies',
  500: 'Something is broken here',
  503: 'Just a moment',
}

/** From a refused form back to the form; from other pages to the start page or the account. */
function stepFrom(context: PageContext, status: number, path: string): NextStep {
  if (path === '/auth/login') return { href: '/login', text: 'Back to the login' }
  if (path === '/auth/register') return { href: '/register', text: 'Back to the form' }
  if (status === 401) return { href: '/login', text: 'Log in' }
  if (status < 500 && path.startsWith('/account/sessions'))
    return { href: '/account/sessions', text: 'Back to your devices' }
  return context.account === undefined
    ? { href: '/', text: 'To the start page' }
    : { href: '/account', text: 'To your account' }
}
