import { createRequire } from 'node:module'
import { expect, test } from 'vitest'
import * as imported from './imported.mjs'

const require = createRequire(import.meta.url)

test('both forms are one copy, and the application logs in', async () => {
  expect(imported.passport).toBe(require('gatepass/compat/passport'))
  expect(imported.session).toBe(require('gatepass/compat/express-session'))
  expect(imported.gatepass).toBe(require('gatepass/express').gatepass)
  await require('./visit.js').journey(require('./app.js'))
})
