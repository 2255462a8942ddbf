import { expect, test } from 'vitest'
import { aboutText, readAbout } from './about.ts'

const client = { device: 'curl', address: '203.0.113.7' }

test('the notes of a record read back as they were written', () => {
  const login = { at: 1, amr: ['pwd'], by: 'local', stamp: 'x', remembered: true }
  expect(readAbout(aboutText({ login, client }))).toEqual({ login, client })
  expect(readAbout(aboutText({ login: undefined, client })).login).toBeUndefined()
})

test.each(['', 'null', '[]', '{}', '{"login":{}}', '{"secret"'])(
  'notes of somebody else (%j) are an error that does not quote them',
  (text) => {
    let thrown: unknown
    try {
      readAbout(text)
    } catch (error) {
      thrown = error
    }
    expect(thrown).toMatchObject({ code: 'ERR_STORE_SCHEMA', status: 503 })
    expect((thrown as Error).cause).toBeUndefined()
    expect(String(thrown)).not.toContain('secret')
  },
)
