import { expect, test } from 'vitest'
import { everyInterleaving, type Footprint, type Script } from './interleaving.ts'

/** A script that notes each of its steps. */
function steps(kind: string, count: number, seen: string[]): Script {
  return {
    kind,
    async run(turn) {
      for (let n = 1; n <= count; n++) await turn(() => seen.push(`${kind}${n}`))
    },
  }
}

/** The orders that `scripts` are run in, each as one text. */
async function ordersOf(scripts: (seen: string[]) => Script[]): Promise<string[]> {
  const orders: string[] = []
  await everyInterleaving(() => {
    const seen: string[] = []
    return { scripts: scripts(seen), check: () => void orders.push(seen.join(' ')) }
  })
  return orders
}

test('two scripts are run in every order of their steps, each order once', async () => {
  const orders = await ordersOf((seen) => [steps('a', 2, seen), steps('b', 2, seen)])
  expect(orders.sort()).toEqual([
    'a1 a2 b1 b2',
    'a1 b1 a2 b2',
    'a1 b1 b2 a2',
    'b1 a1 a2 b2',
    'b1 a1 b2 a2',
    'b1 b2 a1 a2',
  ])
})

test('three scripts of two, three and two steps have 210 orders', async () => {
  const orders = await ordersOf((seen) => [steps('a', 2, seen), steps('b', 3, seen), steps('c', 2, seen)])
  expect(new Set(orders).size).toBe(210)
  expect(orders).toHaveLength(210)
})

test('which of two scripts of one kind begins is not tried both ways', async () => {
  const orders = await ordersOf((seen) => [steps('a', 2, seen), steps('a', 2, seen)])
  expect(orders).toHaveLength(3)
})

test('orders that differ only in steps which do not depend on each other are run once', async () => {
  const on =
    (name: string, ...footprints: Footprint[]) =>
    (seen: string[]): Script => ({
      kind: name,
      async run(turn) {
        for (const footprint of footprints)
          await turn(() => seen.push(`${name} ${footprint.reads ? 'reads' : 'writes'}`), footprint)
      },
    })
  const a = on('a', { on: 'x', reads: true }, { on: 'x' })
  const b = on('b', { on: 'x', reads: true }, { on: 'y' })
  const orders = await ordersOf((seen) => [a(seen), b(seen)])
  // Whether b reads before or after a writes is all that makes a difference.
  expect(orders).toHaveLength(2)
  expect(orders.map((order) => order.indexOf('b reads') < order.indexOf('a writes')).sort()).toEqual([false, true])
  const apart = await ordersOf((seen) => ['x', 'y', 'z'].map((name) => on(name, { on: name }, { on: name })(seen)))
  expect(apart).toHaveLength(1)
})

test('steps that a script adds when it meets another are interleaved too', async () => {
  const orders = await ordersOf((seen) => {
    const retrying: Script = {
      kind: 'r',
      async run(turn) {
        await turn(() => seen.push('r1'))
        const alone = await turn(() => seen.push('r2') === 2)
        if (!alone) await turn(() => seen.push('r3'))
      },
    }
    return [retrying, steps('a', 1, seen)]
  })
  expect(orders.sort()).toEqual(['a1 r1 r2 r3', 'r1 a1 r2 r3', 'r1 r2 a1'])
})

test('a script without steps and one that ends early hold nobody up', async () => {
  const orders = await ordersOf((seen) => [steps('a', 0, seen), steps('b', 2, seen)])
  expect(orders).toEqual(['b1 b2'])
  const twins = await ordersOf((seen) => [steps('a', 0, seen), steps('a', 1, seen)])
  expect(twins).toEqual(['a1'])
})

test('what a step or a check throws ends the search', async () => {
  const failing: Script = { kind: 'f', run: (turn) => turn(() => Promise.reject(new Error('step failed'))) }
  await expect(ordersOf((seen) => [steps('a', 1, seen), failing])).rejects.toThrow('step failed')
  const check = () => {
    throw new Error('check failed')
  }
  await expect(everyInterleaving(() => ({ scripts: [steps('a', 1, [])], check }))).rejects.toThrow('check failed')
})

test('a script may catch what its step throws', async () => {
  const orders = await ordersOf((seen) => [
    {
      kind: 'c',
      async run(turn) {
        await turn(() => Promise.reject(new Error('once'))).catch(() => seen.push('caught'))
        await turn(() => seen.push('after'))
      },
    },
  ])
  expect(orders).toEqual(['caught after'])
})
