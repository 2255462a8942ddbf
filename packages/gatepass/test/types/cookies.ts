// Compiled by `npm run check:types`, never run: what must and what must not compile.

import { type Cookie, Cookies, consentTo, jsonCookie, plainCookie, sealedCookie, signedCookie } from 'gatepass/cookie'
import * as z from 'zod'

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const expectType = <Matches extends true>(): Matches | undefined => undefined

const keys = ['a key of at least 32 characters, for tests'] as const
const theme = jsonCookie('theme', { schema: z.object({ dark: z.boolean() }) })
const seal = sealedCookie<{ id: number }>('a', { keys })
const cookies = new Cookies(undefined)

const text = cookies.get(plainCookie('a'))
expectType<Same<typeof text, string | undefined>>()
const chosen = cookies.get(theme)
expectType<Same<typeof chosen, { dark: boolean } | undefined>>()
expectType<Same<typeof seal, Cookie<{ id: number }>>>()
cookies.set(theme, { dark: true })

// @ts-expect-error a plain cookie holds text
cookies.set(plainCookie('a'), 7)
// @ts-expect-error the schema says boolean
cookies.set(theme, { dark: 'yes' })
// @ts-expect-error attributes are written httpOnly
plainCookie('a', { HttpOnly: true })
// @ts-expect-error SameSite is one of three words
plainCookie('a', { sameSite: 'Lax' })
// @ts-expect-error a purpose is one of four words
plainCookie('a', { purpose: 'analytics' })
// @ts-expect-error at least one key
signedCookie('a', { keys: [] })
// @ts-expect-error keys are required
sealedCookie('a', {})
// @ts-expect-error what is necessary is not agreed to
consentTo('necessary')
