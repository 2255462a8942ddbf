import { expect, test } from 'vitest'
import { readFlags } from './arguments.ts'

test('flags are read with a space and with an equals sign', () => {
  expect(readFlags(['--port', '4000', '--data=some/folder'])).toEqual({ flags: { port: '4000', data: 'some/folder' } })
  expect(readFlags([])).toEqual({ flags: {} })
})

test.each([
  [['--prot', '4000'], 'there is no flag --prot'],
  [['-p', '4000'], 'there is no flag -p'],
  [['--port'], '--port needs a value'],
  [['--port', '--data', 'x'], '--port needs a value'],
  [['--data='], '--data needs a value'],
  [['--host', ''], '--host needs a value'],
  [['extra'], '"extra" is not expected here'],
  [['--port', '1', 'extra'], '"extra" is not expected here'],
] as const)('%j is a mistake: %s', (args, mistake) => {
  expect(readFlags(args)).toEqual({ mistake })
})
