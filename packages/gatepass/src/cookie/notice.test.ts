import { consentCookie, cookieNotice, plainCookie } from 'gatepass/cookie'
import { describe, expect, test } from 'vitest'

const start = Date.UTC(2026, 0, 1)
const visits = plainCookie('visits', {
  purpose: 'statistics',
  maxAge: 129_600,
  description: 'Counts visits <once> & "again"',
})
const list = [plainCookie('cart', { description: 'Keeps your cart.' }), visits]

describe('cookieNotice', () => {
  test('as JSON it has name, purpose, description and lifetime of each cookie', () => {
    expect(JSON.parse(JSON.stringify(cookieNotice(list)))).toEqual([
      {
        name: 'cart',
        purpose: 'necessary',
        description: 'Keeps your cart.',
        maxAge: null,
        lifetime: 'until the browser is closed',
      },
      {
        name: 'visits',
        purpose: 'statistics',
        description: 'Counts visits <once> & "again"',
        maxAge: 129_600,
        lifetime: '36 hours',
      },
    ])
  })

  test('as HTML it is a table with a caption and with headers for columns and rows', () => {
    const html = cookieNotice(list).toHtml()
    expect(html).toMatch(/^<table><caption>Cookies we use<\/caption><thead>/)
    expect(html.match(/<th scope="col">/g)).toHaveLength(4)
    expect(html.match(/<th scope="row">/g)).toHaveLength(2)
    expect(html).toContain('<td>Statistics</td><td>36 hours</td>')
  })

  test('every text in the HTML is escaped', () => {
    const html = cookieNotice(list, { words: { caption: `<script>'` } }).toHtml()
    expect(html).toContain('<td>Counts visits &lt;once&gt; &amp; &quot;again&quot;</td>')
    expect(html).toContain('<caption>&lt;script&gt;&#39;</caption>')
  })

  test('it speaks the language it is given', () => {
    const words = { name: 'Nom', duration: (seconds: number | null) => (seconds === null ? 'session' : `${seconds} s`) }
    const notice = cookieNotice(list, { words })
    expect(notice.toHtml()).toContain('<th scope="col">Nom</th>')
    expect(notice.entries.map((entry) => entry.lifetime)).toEqual(['session', '129600 s'])
  })

  test.each([
    [1, '1 second'],
    [59, '59 seconds'],
    [90, '90 seconds'],
    [60, '1 minute'],
    [3600, '1 hour'],
    [86_400, '1 day'],
    [34_560_000, '400 days'],
    [0, '0 seconds'],
  ])('%d seconds are %s', (maxAge, lifetime) => {
    expect(cookieNotice([plainCookie('a', { maxAge })]).entries[0]?.lifetime).toBe(lifetime)
  })

  test('a fixed end counts from now', () => {
    const cookie = plainCookie('a', { expires: new Date(start + 86_400_000) })
    expect(cookieNotice([cookie], { clock: () => start }).entries[0]).toMatchObject({
      maxAge: 86_400,
      lifetime: '1 day',
    })
  })

  test('the consent cookie describes itself', () => {
    expect(cookieNotice([consentCookie()]).entries[0]).toMatchObject({ purpose: 'necessary', lifetime: '180 days' })
    expect(cookieNotice([consentCookie()]).entries[0]?.description).not.toBe('')
  })
})
