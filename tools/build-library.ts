/**
 * Builds `dist` of the library: ES modules by tsc, the same sources as CommonJS by Rolldown, and the small files between the
 * two forms. docs/decisions/0011-two-forms-one-code.md says why there are two and which one runs where.
 *
 * `node tools/build-library.ts [folder]`: without a folder, into the package.
 */
import { execFileSync } from 'node:child_process'
import { copyFileSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { builtinModules, createRequire } from 'node:module'
import { dirname, join, posix, resolve } from 'node:path'
import { type OutputChunk, type Plugin, rolldown } from 'rolldown'
import { root } from './project.ts'

const library = resolve(root, 'packages/gatepass')
const out = resolve(process.argv[2] ?? library)

interface Manifest {
  readonly exports: Readonly<Record<string, string | { readonly 'gatepass:source': string }>>
  readonly dependencies: Readonly<Record<string, string>>
  readonly peerDependencies: Readonly<Record<string, string>>
}
const manifest = JSON.parse(readFileSync(join(library, 'package.json'), 'utf8')) as Manifest

/** The entries: the path that applications import, and the source without its ending, both from the package. */
const entries = Object.entries(manifest.exports).flatMap(([key, targets]) =>
  typeof targets === 'string'
    ? []
    : [{ path: key, stem: targets['gatepass:source'].slice('./src/'.length, -'.ts'.length) }],
)

/** The names that each file of the CommonJS form exports, under its source without the ending. */
async function buildCommonJs(): Promise<ReadonlyMap<string, readonly string[]>> {
  // No import leads to the files that threads run.
  const threads = globSync('**/*-thread.ts', { cwd: join(library, 'src') }).map((path) => path.slice(0, -'.ts'.length))
  const stems = [...entries.map(({ stem }) => stem), ...threads]
  const bundle = await rolldown({
    cwd: library,
    input: Object.fromEntries(stems.map((stem) => [stem, `./src/${stem}.ts`])),
    platform: 'node',
    external: Object.keys(manifest.peerDependencies),
    plugins: [withoutPrefix],
  })
  const { output } = await bundle.write({
    dir: join(out, 'dist/cjs'),
    format: 'cjs',
    exports: 'named',
    // A file for each source, under its name: an entry loads what it needs, and a stack trace names the file to look into.
    preserveModules: true,
    preserveModulesRoot: 'src',
    // npm packs no folder of the name node_modules inside a package.
    entryFileNames: ({ name }) => `${name.replace(/^.*node_modules\//, 'vendor/')}.js`,
    sourcemap: true,
    sourcemapExcludeSources: true,
  })
  await bundle.close()
  const chunks = output.filter((one): one is OutputChunk => one.type === 'chunk')
  return new Map(chunks.map(({ fileName, exports }) => [fileName.slice(0, -'.js'.length), exports]))
}

/** Jest 26 does not know `node:http`, only `http`. Modules that exist with the prefix alone keep it. */
const withoutPrefix: Plugin = {
  name: 'without-prefix',
  resolveId: {
    filter: { id: /^node:/ },
    handler(id) {
      const bare = id.slice('node:'.length)
      return { id: builtinModules.includes(bare) ? bare : id, external: true }
    },
  },
}

/** Makes the declarations that tsc has written true for files that are CommonJS. */
function adaptDeclarations(): void {
  for (const path of globSync('dist/cjs/**/*.d.ts', { cwd: out })) {
    const file = join(out, path)
    const text = readFileSync(file, 'utf8')
      // Only Node's require() of an ES module reads this name. TypeScript reads it everywhere.
      .replace(/^export \{ \w+ as 'module\.exports' \};\n/m, '')
      // The types of a package that has ES modules alone, in a CommonJS file.
      .replace(/^import (?:type )?\{ (.+) \} from '(.+)';$/gm, (statement, names: string, from: string) =>
        from in manifest.dependencies
          ? `import type { ${names.replaceAll('type ', '')} } from '${from}' with { 'resolution-mode': 'import' };`
          : statement,
      )
    writeFileSync(file, text)
  }
}

function write(path: string, ...lines: readonly string[]): void {
  const file = join(out, path)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, lines.map((line) => `${line}\n`).join(''))
}

/** Writes what ties both forms of an entry together. */
function writeBetween({ path, stem }: { path: string; stem: string }, exported: readonly string[]): void {
  const isDropIn = exported.includes('module.exports')
  const names = exported.filter((name) => name !== 'default' && name !== 'module.exports')
  const depth = stem.split('/').length - 1
  write(
    `dist/node/${stem}.js`,
    `import entry from '../${'../'.repeat(depth)}cjs/${stem}.js'`,
    `export const { ${names.join(', ')} } = entry`,
    ...(isDropIn ? ['export default entry.default'] : []),
  )
  const types = `${'../'.repeat(depth) || './'}cjs/${stem}`
  write(
    `dist/${stem}.d.ts`,
    ...(isDropIn ? [`import entry from '${types}.cjs'`, 'export default entry'] : []),
    `export * from '${types}.js'`,
  )
  if (isDropIn) {
    const name = posix.basename(stem)
    // Some bundlers give the ES module's names here, some what it exports as `module.exports`.
    write(`dist/${stem}.cjs`, `const entry = require('#${stem}')`, 'module.exports = entry.default || entry')
    write(`dist/cjs/${stem}.cjs`, `module.exports = require('./${name}.js').default`)
    write(`dist/cjs/${stem}.d.cts`, `import entry = require('./${name}.js')`, 'export = entry.default')
  }
  if (path === '.') return
  const main = posix.join(posix.relative(path, '.'), 'dist/cjs', stem)
  const folder = { main: `${main}.${isDropIn ? 'cjs' : 'js'}`, types: `${main}.d.${isDropIn ? 'cts' : 'ts'}` }
  write(`${path}/package.json`, JSON.stringify(folder, null, 2))
}

rmSync(join(out, 'dist'), { recursive: true, force: true })
const compiler = resolve(root, 'node_modules/typescript/bin/tsc')
const folders = ['--outDir', join(out, 'dist'), '--declarationDir', join(out, 'dist/cjs')]
execFileSync(process.execPath, [compiler, '-p', 'tsconfig.build.json', ...folders], { cwd: library, stdio: 'inherit' })
adaptDeclarations()
const exported = await buildCommonJs()
write('dist/cjs/package.json', '{ "type": "commonjs" }')
for (const entry of entries) writeBetween(entry, exported.get(entry.stem) ?? [])
// The CommonJS form contains the dependencies, which are ES modules only.
for (const name of Object.keys(manifest.dependencies)) {
  const found = createRequire(join(library, 'package.json')).resolve(`${name}/package.json`)
  copyFileSync(join(dirname(found), 'LICENSE.md'), join(out, 'dist/cjs/vendor', name, 'LICENSE.md'))
}
