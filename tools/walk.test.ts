import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { root } from './project.ts'
import { type Place, printed, walkOf } from './walk.ts'

const enter: Place = { file: 'adapters/node.ts', name: 'enter' }
const open: Place = { file: 'session/manager.ts', name: 'open' }
const find: Place = { file: 'session/manager.ts', name: '#find' }

test('a function stands where it is entered first, and every entry counts as a move if it changes the file', () => {
  expect(walkOf([enter, open, enter, find, open])).toEqual({
    rooms: [
      { file: 'adapters/node.ts', functions: ['enter'] },
      { file: 'session/manager.ts', functions: ['open', '#find'] },
    ],
    files: 2,
    functions: 3,
    moves: 3,
    returns: 2,
  })
})

test('a walk is printed as rooms in order, with its counts', () => {
  expect(printed('cookie → req.user', walkOf([enter, open, find]))).toBe(`cookie → req.user
  adapters/node.ts    enter
  session/manager.ts  open, #find
  2 files, 3 functions, 1 moves, 0 of them back to a file left before`)
})

test('both walks lead from the adapter to the store and back, through functions with their names', async () => {
  const args = ['--conditions=gatepass:source', '--disable-warning=ExperimentalWarning', 'tools/walk.ts']
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root })
  const [toUser = [], toCookie = []] = stdout.split('\n\n').map((walk) => walk.trimEnd().split('\n'))
  expect(toUser[0]).toBe('cookie → req.user')
  expect(toCookie[0]).toBe('POST /login → Set-Cookie')
  for (const walk of [toUser, toCookie]) {
    expect(walk[1]).toMatch(/^ {2}adapters\/node-visits\.ts /)
    expect(walk.some((room) => /^ {2}stores\/sqlite\.ts .*(load|insert)/.test(room))).toBe(true)
    expect(walk.at(-1)).toMatch(/^ {2}\d+ files, \d+ functions, \d+ moves, \d+ of them back/)
  }
  expect(toCookie.join('\n')).toMatch(/http\/answer\.ts +writeCookies/)
})
