import { type EmailAddress, parseEmailAddress } from '../accounts/email-address.ts'
import { isPersonName } from '../accounts/person-name.ts'
import { json, page, seeOther } from '../answer.ts'
import { frameOf } from '../frame.ts'
import { leaveNotice, notices } from '../pages/notices.ts'
import { registerPage } from '../pages/register.ts'
import { invalidInput, type Problem, registrationClosed, tooManyTries } from '../problem.ts'
import { problemHeaders, refuse } from '../refusal.ts'
import type { Route } from '../router.ts'
import type { Site } from '../site.ts'
import type { Visit } from '../visit.ts'
import { type Fields, text } from './fields.ts'

export function registerRoutes(site: Site): Route[] {
  return [
    { method: 'GET', path: '/register', answer: (visit) => showRegister(site, visit) },
    { method: 'POST', path: '/auth/register', page: '/register', answer: (visit) => register(site, visit) },
  ]
}

async function showRegister(site: Site, visit: Visit): Promise<Response> {
  if (!site.config.registration) return refuse(site, visit, registrationClosed)
  const frame = await frameOf(site, visit)
  if (frame.account !== undefined) return seeOther('/account')
  return page(200, registerPage(frame, { minLength: site.config.password.minLength }))
}

async function register(site: Site, visit: Visit): Promise<Response> {
  if (!site.config.registration) {
    site.audit.record('authz_fail', visit, { reason: 'registration_closed' })
    return refuse(site, visit, registrationClosed)
  }
  const registration = await readRegistration(site, await visit.exchange.fields())
  if ('status' in registration) {
    site.audit.record('input_validation_fail', visit, { reason: 'register' })
    return refuseRegistration(site, visit, registration)
  }
  const wait = await site.limits.admitRegistration(visit.address)
  if (wait !== undefined) {
    site.audit.record('excess_rate_limit_exceeded', visit, { reason: 'register' })
    return refuseRegistration(site, visit, tooManyTries(wait))
  }
  await createAccount(site, visit, registration)
  // The same whether the address was free or not, so that nobody learns who has an account here.
  if (!visit.wantsPage) return json(202, { message: notices.registered })
  leaveNotice(visit.exchange, 'registered')
  return seeOther('/login')
}

interface Registration {
  readonly email: EmailAddress
  readonly name: string
  readonly password: string
}

async function readRegistration(site: Site, fields: Fields): Promise<Registration | Problem> {
  const email = parseEmailAddress(text(fields, 'email'))
  const name = text(fields, 'name').trim()
  const password = text(fields, 'password')
  const problems = {
    ...(email === undefined && { email: 'Enter an e-mail address like name@example.com.' }),
    ...(!isPersonName(name) && { name: 'A name has at most 80 characters, on one line.' }),
    ...(await passwordProblem(site, password, [text(fields, 'email'), name])),
  }
  return email === undefined || Object.keys(problems).length > 0 ? invalidInput(problems) : { email, name, password }
}

async function passwordProblem(site: Site, password: string, about: string[]): Promise<{ password?: string }> {
  if (password === '') return { password: 'Choose a password.' }
  const problem = await site.passwords.check(password, about)
  return problem === undefined ? {} : { password: problem.message }
}

/** Hashes before it looks, so that a free address and a taken one take as long. */
async function createAccount(site: Site, visit: Visit, { email, name, password }: Registration): Promise<void> {
  const passwordHash = await site.passwords.hash(password)
  const userId = await site.accounts.create({ email, name, passwordHash })
  if (userId !== undefined) site.audit.record('user_created', visit, { userId })
}

/** A person gets the form again, with everything but the password. */
async function refuseRegistration(site: Site, visit: Visit, problem: Problem): Promise<Response> {
  if (!visit.wantsPage) return refuse(site, visit, problem)
  const fields = await visit.exchange.fields()
  const form = {
    problem,
    email: text(fields, 'email'),
    name: text(fields, 'name'),
    minLength: site.config.password.minLength,
  }
  return page(problem.status, registerPage(await frameOf(site, visit), form), problemHeaders(problem))
}
