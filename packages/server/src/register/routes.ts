import { StoreError } from 'gatepass'
import { isPersonName } from '../accounts/accounts.ts'
import { parseEmailAddress } from '../accounts/email-address.ts'
import type { Services } from '../services.ts'
import { json, page, seeOther } from '../web/answer.ts'
import { text } from '../web/form.ts'
import type { Route } from '../web/handler.ts'
import { leaveNotice, notices } from '../web/notices.ts'
import { invalidInput, type Problem, problemOf, registrationClosed, tooManyTries } from '../web/problem.ts'
import type { ServerRequest } from '../web/request.ts'
import { registerPage } from './page.ts'

type RegisterServices = Pick<
  Services,
  'config' | 'auth' | 'pages' | 'stores' | 'passwords' | 'limits' | 'audit' | 'errors'
>

export function registerRoutes(services: RegisterServices): Route[] {
  const { config, auth, pages, stores, passwords, limits, audit, errors } = services
  const { minLength } = config.password
  return [
    { method: 'GET', path: '/register', answer: showForm },
    { method: 'POST', path: '/auth/register', page: '/register', answer: register },
  ]

  async function showForm(request: ServerRequest): Promise<Response> {
    if (!config.registration) return pages.refuse(request, registrationClosed)
    const context = await pages.context(request)
    if (context.account !== undefined) return seeOther('/account')
    return page(200, registerPage(context, { minLength }))
  }

  async function register(request: ServerRequest): Promise<Response> {
    if (!config.registration) {
      audit.record('authz_fail', request, { reason: 'registration_closed' })
      return pages.refuse(request, registrationClosed)
    }
    // As for the page: a person who is logged in has an account.
    if (request.wantsPage && (await auth.passport.user(request.exchange)) !== undefined) return seeOther('/account')
    const formWait = await limits.admitRegistrationForm(request.address)
    if (formWait !== undefined) return tooMany(request, formWait)
    const fields = await request.exchange.fields()
    const typed = text(fields, 'email')
    const email = parseEmailAddress(typed)
    const name = text(fields, 'name').trim()
    const password = text(fields, 'password')
    const weakness = password === '' ? 'Choose a password.' : (await passwords.check(password, [typed, name]))?.message
    const problems = {
      ...(email === undefined && { email: 'Enter an e-mail address like name@example.com.' }),
      ...(!isPersonName(name) && { name: 'A name has at most 80 characters, on one line.' }),
      ...(weakness !== undefined && { password: weakness }),
    }
    if (email === undefined || Object.keys(problems).length > 0) {
      audit.record('input_validation_fail', request, { reason: 'register' })
      return formAgain(request, invalidInput(problems))
    }
    const wait = await limits.admitRegistration(request.address)
    if (wait !== undefined) return tooMany(request, wait)
    let userId: string | undefined
    try {
      // Hashed before the account is looked up, so that a free address and a taken one take as long.
      const passwordHash = await passwords.hash(password)
      userId = await stores.accounts.create({ email, name, passwordHash })
    } catch (error) {
      // What was typed is not lost because the server is busy.
      if (!(error instanceof StoreError)) throw error
      errors.record(error, request.requestId)
      return formAgain(request, problemOf(error))
    }
    if (userId !== undefined) audit.record('user_created', request, { userId })
    // The answer is the same for a free and a taken address: it does not tell who has an account here.
    if (!request.wantsPage) return json(202, { message: notices.registered })
    leaveNotice(request.exchange, 'registered')
    return seeOther('/login')
  }

  function tooMany(request: ServerRequest, wait: number): Promise<Response> {
    audit.record('excess_rate_limit_exceeded', request, { reason: 'register' })
    return formAgain(request, tooManyTries(wait))
  }

  function formAgain(request: ServerRequest, problem: Problem): Promise<Response> {
    return pages.refuseForm(request, problem, (context, fields) =>
      registerPage(context, { problem, email: text(fields, 'email'), name: text(fields, 'name'), minLength }),
    )
  }
}
