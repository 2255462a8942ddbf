import { escapeHtml } from '../../cookie/html.ts'
import { randomHandle, sha256Base64url } from '../../crypto/random.ts'
import { type Fault, faults } from './fault.ts'
import type { Person } from './person.ts'

/** A page with its Content-Security-Policy. */
export interface ProviderPage {
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export interface Choice {
  /** The provider's name. */
  readonly label: string
  /** The address of the application that sent the user here. */
  readonly application: string
  /** The address that the choice is posted to. */
  readonly action: string
  readonly people: readonly Person[]
  readonly faults: readonly Fault[]
  /** The fault that is selected at first. */
  readonly fault: Fault | undefined
}

/** Asks which user logs in, and with which fault. */
export function choicePage({ label, application, action, people, faults: kinds, fault }: Choice): ProviderPage {
  const { origin } = new URL(application)
  return page(
    label,
    `Log in with ${label}`,
    `<p class="lead">to go on to <strong>${escapeHtml(origin)}</strong>, which learns your name and e-mail address</p>
<form method="post" action="${escapeHtml(action)}">
<fieldset><legend>Who are you?</legend>
${people.map(personButton).join('\n')}
</fieldset>
<details${fault === undefined ? '' : ' open'}>
<summary>Let something go wrong</summary>
<label for="fault">With this login</label>
<select id="fault" name="fault">
<option value="">nothing: behave</option>
${kinds.map((kind) => `<option value="${kind}"${kind === fault ? ' selected' : ''}>${escapeHtml(faults[kind])}</option>`).join('\n')}
</select>
</details>
<button class="second" name="cancel" value="yes">Cancel</button>
</form>`,
    origin,
  )
}

function personButton({ id, name, email, emailVerified, hostedDomain }: Person): string {
  const badges = [
    ...(email === undefined ? ['no e-mail address'] : emailVerified === false ? ['not verified'] : []),
    ...(hostedDomain === undefined ? [] : ['organisation']),
  ]
  const marks = badges.map((badge) => ` <span class="badge">${badge}</span>`).join('')
  const address = email === undefined ? '' : `<span class="address">${escapeHtml(email)}</span>`
  return `<button class="person" name="person" value="${escapeHtml(id)}"><span class="face" aria-hidden="true">${escapeHtml(name.slice(0, 1))}</span><span class="who"><span class="name">${escapeHtml(name)}${marks}</span>${address}</span></button>`
}

/** Explains the pretend provider to visitors. */
export function homePage(label: string): ProviderPage {
  return page(label, `A pretend ${label}`, '<p>Only applications on this machine send people here to log in.</p>')
}

/** @param form the provider's own form, with its token */
export function logoutPage(label: string, form: string, origins: string): ProviderPage {
  const body = `${form}
<p>Do you want to log out of ${escapeHtml(label)} as well?</p>
<p class="actions"><button form="op.logoutForm" name="logout" value="yes">Log out</button>
<button class="second" form="op.logoutForm">Stay logged in</button></p>`
  return page(label, `Log out of ${label}`, body, origins)
}

export function sayingPage(label: string, title: string, text: string): ProviderPage {
  return page(label, title, `<p>${escapeHtml(text)}</p>`)
}

/** @param targets other origins that a form may lead to; browsers also check redirects after a form */
function page(label: string, title: string, content: string, targets = ''): ProviderPage {
  const nonce = randomHandle()
  return {
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': `default-src 'none'; style-src 'nonce-${nonce}'; form-action 'self' ${formTargets(targets)}; base-uri 'none'; frame-ancestors 'none'`,
      'cache-control': 'no-store',
      'referrer-policy': 'same-origin',
      'x-content-type-options': 'nosniff',
    },
    body: `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(title)} (pretend)</title>
<style nonce="${nonce}">${styles(label)}</style>
</head>
<body>
<p class="pretend" role="note">This is a <strong>pretend ${escapeHtml(label)}</strong> on this machine. Nothing here is real.</p>
<main>
<h1>${escapeHtml(title)}</h1>
${content}
</main>
</body>
</html>
`,
  }
}

/** Origins for a Content-Security-Policy, which cannot contain IPv6 addresses. */
function formTargets(origins: string): string {
  return origins.includes('[') ? 'http:' : origins
}

/** The style sheet, with a colour that depends on the provider's name. */
function styles(label: string): string {
  const hue = sha256Base64url(label).charCodeAt(0) * 37
  return `
:root { color-scheme: light dark; --hue: ${hue % 360}; --ground: #f5f5f7; --sheet: #fff; --ink: #1b1b1f; --soft: #5b5b66; --line: #d9d9e0; --edge: #85858f; --accent: hsl(var(--hue) 60% 28%); --on-accent: #fff; --tint: hsl(var(--hue) 50% 95%); }
@media (prefers-color-scheme: dark) { :root { --ground: #111114; --sheet: #1a1a1f; --ink: #ececf1; --soft: #a8a8b3; --line: #303038; --edge: #73737f; --accent: hsl(var(--hue) 65% 72%); --on-accent: #111114; --tint: hsl(var(--hue) 25% 20%); } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; background: var(--ground); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
.pretend { margin: 0; padding: 0.75rem 1.25rem; text-align: center; background: repeating-linear-gradient(-45deg, var(--tint) 0 1rem, var(--sheet) 1rem 2rem); border-bottom: 2px solid var(--accent); }
main { max-width: 28rem; margin: 2rem auto; padding: 1.75rem; background: var(--sheet); border: 1px solid var(--line); border-radius: 14px; }
h1 { margin: 0 0 0.25rem; font-size: 1.5rem; line-height: 1.25; }
.lead { margin: 0 0 1.25rem; color: var(--soft); }
form { display: grid; gap: 1rem; }
fieldset { display: grid; gap: 0.5rem; margin: 0; padding: 0; border: 0; }
legend { padding: 0; margin-bottom: 0.5rem; font-weight: 600; }
button { min-height: 2.875rem; padding: 0.5rem 1rem; font: inherit; font-weight: 600; color: var(--on-accent); background: var(--accent); border: 1px solid transparent; border-radius: 10px; cursor: pointer; }
.second { color: var(--ink); background: transparent; border-color: var(--edge); }
.person { display: flex; align-items: center; gap: 0.75rem; padding: 0.625rem 0.875rem; text-align: start; color: var(--ink); background: transparent; border-color: var(--edge); font-weight: 400; }
.person:hover, .second:hover { background: var(--tint); border-color: var(--accent); }
.who { flex: 1; min-width: 0; display: grid; }
.name { display: flex; flex-wrap: wrap; align-items: center; gap: 0 0.625rem; font-weight: 600; }
.address { color: var(--soft); font-size: 0.9375rem; }
.face { flex: none; display: grid; place-items: center; width: 2.25rem; height: 2.25rem; border-radius: 50%; background: var(--tint); color: var(--accent); font-weight: 700; }
.badge { padding: 0 0.5rem; border: 1px solid var(--edge); border-radius: 99px; color: var(--soft); font-size: 0.8125rem; font-weight: 400; }
details { padding: 0.625rem 0.875rem; border: 1px dashed var(--edge); border-radius: 10px; }
summary { cursor: pointer; }
details label { display: block; margin: 0.75rem 0 0.25rem; }
select { width: 100%; min-height: 2.75rem; padding: 0 0.5rem; font: inherit; color: inherit; background: var(--sheet); border: 1px solid var(--edge); border-radius: 8px; }
.actions { display: flex; flex-wrap: wrap; gap: 0.75rem; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
@media (max-width: 32rem) { main { margin: 0; border-width: 0 0 1px; border-radius: 0; padding: 1.25rem; } }
`
}
