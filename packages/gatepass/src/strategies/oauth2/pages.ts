import { escapeHtml } from '../../cookie/html.ts'
import { randomHandle } from '../../crypto/random.ts'
import type { Reply } from '../../http/exchange.ts'

/** Asks users whom another site sent here whether they want to log in. A foreign page must not log a user in. */
export function confirmPage(label: string, target: string): Reply {
  const text = `Log in with ${label}`
  return page(
    text,
    `<p>Another site sent you here.</p>\n<p><a href="${escapeHtml(target)}">${escapeHtml(text)}</a></p>`,
  )
}

/**
 * Posts the provider's fields again, from our own page, so that the browser sends the session cookie (SameSite).
 *
 * @param action a path of this application
 */
export function relayPage(label: string, action: string, fields: Readonly<Record<string, string>>): Reply {
  const inputs = Object.entries(fields).map(
    ([name, value]) => `<input type="hidden" name="${escapeHtml(name)}" value="${escapeHtml(value)}">`,
  )
  const nonce = randomHandle()
  const form = `<form method="post" action="${escapeHtml(action)}">\n${inputs.join('\n')}\n<button>Continue</button>\n</form>`
  const script = `<script nonce="${nonce}">document.forms[0].submit()</script>`
  return page(`Log in with ${label}`, `${form}\n${script}`, `script-src 'nonce-${nonce}'; `)
}

function page(title: string, content: string, scripts = ''): Reply {
  return {
    status: 200,
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': `default-src 'none'; ${scripts}form-action 'self'; base-uri 'none'; frame-ancestors 'none'`,
      'cache-control': 'no-store',
      // Not `no-referrer`: with it, browsers send `Origin: null` with the form.
      'referrer-policy': 'same-origin',
      'x-content-type-options': 'nosniff',
      vary: 'Sec-Fetch-Site',
    },
    body: `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escapeHtml(title)}</title>
<h1>${escapeHtml(title)}</h1>
${content}
</html>
`,
  }
}
