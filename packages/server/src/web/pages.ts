import type { Auth } from '../auth.ts'
import { type Markup, page } from './answer.ts'
import { errorPage } from './error-page.ts'
import type { Fields } from './form.ts'
import type { PageFrame } from './layout.ts'
import { type Problem, problemHeaders, problemJson } from './problem.ts'
import type { ServerRequest } from './request.ts'

export interface PagesOptions extends Pick<PageFrame, 'siteName' | 'registration' | 'providers'> {
  readonly auth: Auth
}

/** What is around every page, and the pages that say no. */
export class Pages {
  readonly #auth: Auth
  /** For pages that must not ask the store anything: it may be what is broken. */
  readonly plainFrame: PageFrame

  constructor({ auth, siteName, registration, providers }: PagesOptions) {
    this.#auth = auth
    this.plainFrame = { siteName, registration, providers, account: undefined, formToken: undefined }
  }

  /** For pages that know who looks at them, and that have forms. */
  async frame(request: ServerRequest): Promise<PageFrame> {
    const account = await this.#auth.passport.user(request.exchange)
    return { ...this.plainFrame, account, formToken: await this.#auth.gatepass.csrfToken(request.exchange) }
  }

  /** Refuses: a program as JSON, a person on a page. */
  async refuse(request: ServerRequest, problem: Problem): Promise<Response> {
    if (!request.wantsPage) return problemJson(problem)
    // A refusal must arrive even if the store cannot say who is asking.
    const frame = problem.status < 500 ? await this.frame(request).catch(() => this.plainFrame) : this.plainFrame
    const view = { problem, requestId: request.requestId, path: request.path }
    return page(problem.status, errorPage(frame, view), problemHeaders(problem))
  }

  /** Refuses what a form sent. A person gets the form again, with everything but the password. */
  async refuseForm(
    request: ServerRequest,
    problem: Problem,
    form: (frame: PageFrame, fields: Fields) => Markup,
  ): Promise<Response> {
    if (!request.wantsPage) return this.refuse(request, problem)
    const fields = await request.exchange.fields()
    return page(problem.status, form(await this.frame(request), fields), problemHeaders(problem))
  }
}
