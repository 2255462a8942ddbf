import { expect, test } from 'vitest'
import { checkAddress } from './address.ts'

const nowhere = { loopback: false, privateNetwork: false }
const refused = expect.objectContaining({ code: 'ERR_OAUTH_ADDRESS', status: 502 })

test.each([
  'http://accounts.example/',
  'https://user:secret@accounts.example/',
  'https://127.0.0.1/',
  'https://127.1/',
  'https://2130706433/',
  'https://localhost/',
  'https://x.localhost/',
  'https://[::1]/',
  'https://[::ffff:127.0.0.1]/',
  'https://[::ffff:10.0.0.1]/',
  'https://[::10.0.0.1]/',
  'https://[::ffff:0:10.0.0.1]/',
  'https://[64:ff9b:1::10.0.0.1]/',
  'https://[2001:0:a00:1::1]/',
  'https://[2002:a00:1::1]/',
  'https://[fec0::1]/',
  'https://10.0.0.1/',
  'https://172.16.0.1/',
  'https://192.168.1.1/',
  'https://169.254.169.254/latest/meta-data/',
  'https://100.64.0.1/',
  'https://0.0.0.0/',
  'https://[fd00::1]/',
  'https://[fe80::1]/',
  'file:///etc/passwd',
])('1.3.6: %s is not asked', async (address) => {
  await expect(checkAddress(new URL(address), nowhere)).rejects.toThrow(refused)
})

test('public addresses are asked, by https alone', async () => {
  await expect(checkAddress(new URL('https://93.184.215.14/'), nowhere)).resolves.toBeUndefined()
  await expect(checkAddress(new URL('https://[2606:2800:21f::1]/'), nowhere)).resolves.toBeUndefined()
  await expect(checkAddress(new URL('http://93.184.215.14/'), nowhere)).rejects.toThrow(refused)
})

test('this machine and private networks are asked where that is allowed, each by itself', async () => {
  const here = { loopback: true, privateNetwork: false }
  const inside = { loopback: false, privateNetwork: true }
  await expect(checkAddress(new URL('http://127.0.0.1:4000/'), here)).resolves.toBeUndefined()
  await expect(checkAddress(new URL('https://10.0.0.1/'), here)).rejects.toThrow(refused)
  await expect(checkAddress(new URL('https://10.0.0.1/'), inside)).resolves.toBeUndefined()
  await expect(checkAddress(new URL('http://10.0.0.1/'), inside)).rejects.toThrow(refused)
  await expect(checkAddress(new URL('https://127.0.0.1/'), inside)).rejects.toThrow(refused)
})
