/**
 * A registry on this machine that has the packages of this repository as npm would publish them, and hands every other
 * request on to the registry that npm uses here. With it, people's own package managers install what is not released yet.
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

const repository = resolve(import.meta.dirname, '../..')
const published = [
  'packages/gatepass',
  ...['passport', 'express-session', 'cookie-session', 'cookie-parser', 'cookie'].map(
    (name) => `packages/aliases/${name}`,
  ),
]

export interface Registry {
  readonly url: string
  close(): void
}

interface Published {
  readonly packument: unknown
  readonly tarball: Buffer
}

/** Packs the packages and listens. Needs `npm run build` before. */
export async function startRegistry(): Promise<Registry> {
  const upstream = execFileSync('npm', ['config', 'get', 'registry'], { encoding: 'utf8', cwd: tmpdir() }).trim()
  const server = createServer()
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const packages = new Map(published.map((folder) => pack(resolve(repository, folder), url)))
  server.on('request', async (req, res) => {
    const path = decodeURIComponent(req.url ?? '/').slice(1)
    const ours = packages.get(path.replace(/\/-\/.*$/, ''))
    if (ours !== undefined) {
      res.end(path.includes('/-/') ? ours.tarball : JSON.stringify(ours.packument))
      return
    }
    const { accept = '*/*' } = req.headers
    // By address, so that a registry that names itself in a tarball's address is asked there.
    const answer = await fetch(new URL(req.url?.slice(1) ?? '', upstream), { headers: { accept } }).catch(
      () => undefined,
    )
    res.writeHead(answer?.status ?? 502, { 'content-type': answer?.headers.get('content-type') ?? 'text/plain' })
    res.end(answer === undefined ? '' : Buffer.from(await answer.arrayBuffer()))
  })
  return { url, close: () => void server.close() }
}

function pack(folder: string, url: string): [name: string, Published] {
  const place = mkdtempSync(join(tmpdir(), 'gatepass-packed-'))
  try {
    const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { name: string; version: string }
    const { name, version } = manifest
    const packed = execFileSync('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', place], {
      cwd: folder,
      encoding: 'utf8',
    })
    const tarball = readFileSync(join(place, packed.trim()))
    const integrity = `sha512-${createHash('sha512').update(tarball).digest('base64')}`
    const dist = { tarball: `${url}${name}/-/${name.replace(/^.*\//, '')}-${version}.tgz`, integrity }
    const packument = { name, 'dist-tags': { latest: version }, versions: { [version]: { ...manifest, dist } } }
    return [name, { packument, tarball }]
  } finally {
    rmSync(place, { recursive: true })
  }
}
