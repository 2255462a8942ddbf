import type { Passwords } from 'gatepass/password'
import type { Accounts } from '../accounts/accounts.ts'
import { type EmailAddress, parseEmailAddress } from '../accounts/email-address.ts'
import { isPersonName } from '../accounts/person-name.ts'
import type { Limits } from '../login/limits.ts'
import type { Audit } from '../operation/audit.ts'
import type { Config } from '../settings/config.ts'
import { json, page, seeOther } from '../web/answer.ts'
import { type Fields, text } from '../web/form.ts'
import { leaveNotice, notices } from '../web/notices.ts'
import type { Pages } from '../web/pages.ts'
import { invalidInput, type Problem, registrationClosed, tooManyTries } from '../web/problem.ts'
import type { ServerRequest } from '../web/request.ts'
import type { Route } from '../web/router.ts'
import { registerPage } from './page.ts'

export interface RegisterDeps {
  readonly config: Pick<Config, 'registration' | 'password'>
  readonly pages: Pages
  readonly accounts: Accounts
  readonly passwords: Passwords
  readonly limits: Limits
  readonly audit: Audit
}

interface Registration {
  readonly email: EmailAddress
  readonly name: string
  readonly password: string
}

export function registerRoutes({ config, pages, accounts, passwords, limits, audit }: RegisterDeps): Route[] {
  const { minLength } = config.password
  return [
    { method: 'GET', path: '/register', answer: showForm },
    { method: 'POST', path: '/auth/register', page: '/register', answer: register },
  ]

  async function showForm(request: ServerRequest): Promise<Response> {
    if (!config.registration) return pages.refuse(request, registrationClosed)
    const frame = await pages.frame(request)
    if (frame.account !== undefined) return seeOther('/account')
    return page(200, registerPage(frame, { minLength }))
  }

  async function register(request: ServerRequest): Promise<Response> {
    if (!config.registration) {
      audit.record('authz_fail', request, { reason: 'registration_closed' })
      return pages.refuse(request, registrationClosed)
    }
    const registration = await readRegistration(await request.exchange.fields())
    if ('status' in registration) {
      audit.record('input_validation_fail', request, { reason: 'register' })
      return formAgain(request, registration)
    }
    const wait = await limits.admitRegistration(request.address)
    if (wait !== undefined) {
      audit.record('excess_rate_limit_exceeded', request, { reason: 'register' })
      return formAgain(request, tooManyTries(wait))
    }
    // Hashes before it looks, so that a free address and a taken one take as long.
    const { email, name, password } = registration
    const passwordHash = await passwords.hash(password)
    const userId = await accounts.create({ email, name, passwordHash })
    if (userId !== undefined) audit.record('user_created', request, { userId })
    // The same answer whether the address was free or taken: it does not tell who has an account here.
    if (!request.wantsPage) return json(202, { message: notices.registered })
    leaveNotice(request.exchange, 'registered')
    return seeOther('/login')
  }

  async function readRegistration(fields: Fields): Promise<Registration | Problem> {
    const email = parseEmailAddress(text(fields, 'email'))
    const name = text(fields, 'name').trim()
    const password = text(fields, 'password')
    const weakness =
      password === '' ? 'Choose a password.' : (await passwords.check(password, [text(fields, 'email'), name]))?.message
    const problems = {
      ...(email === undefined && { email: 'Enter an e-mail address like name@example.com.' }),
      ...(!isPersonName(name) && { name: 'A name has at most 80 characters, on one line.' }),
      ...(weakness !== undefined && { password: weakness }),
    }
    return email === undefined || Object.keys(problems).length > 0 ? invalidInput(problems) : { email, name, password }
  }

  function formAgain(request: ServerRequest, problem: Problem): Promise<Response> {
    return pages.refuseForm(request, problem, (frame, fields) =>
      registerPage(frame, { problem, email: text(fields, 'email'), name: text(fields, 'name'), minLength }),
    )
  }
}
