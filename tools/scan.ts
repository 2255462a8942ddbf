/**
 * What a TypeScript file imports and exports, read from its text.
 *
 * Why it exists: the checks beside this file need the import statements of every file, and TypeScript 7 has no stable
 * parser to ask. A tokenizer is enough, since an import is a statement with fixed words; what makes a search by regular
 * expression wrong (strings, comments, templates, regular expressions) is skipped here as what it is.
 */

/** One import, export-from, dynamic `import()` or `require()` with its specifier written out. */
export interface ImportStatement {
  readonly specifier: string
  readonly line: number
  /** Erased before the file runs. */
  readonly typeOnly: boolean
  /** Runs when the code reaches it, rather than when the file is loaded. */
  readonly dynamic: boolean
}

/** One name that a file exports. */
export interface ExportedName {
  /** As importers see it; `*` where everything of `from` is passed on. */
  readonly name: string
  /** As the file itself, or the file it is passed on from, calls it. */
  readonly local: string
  /** Specifier of the file it is passed on from. */
  readonly from: string | undefined
  readonly line: number
}

/** A declaration at the top of a file. */
export interface Declaration {
  readonly kind: string
  readonly line: number
  /** The text between the slashes of its docstring. */
  readonly docstring: string | undefined
}

/** What one file says to others. */
export interface SourceFile {
  readonly imports: readonly ImportStatement[]
  readonly exports: readonly ExportedName[]
  readonly declarations: ReadonlyMap<string, Declaration>
}

/** A word or number, the content of a string, a template, a punctuation mark, or a docstring. */
export interface Token {
  readonly kind: 'word' | 'text' | 'template' | 'mark' | 'doc'
  readonly text: string
  readonly start: number
  /** How many braces, brackets and parentheses are open before it. */
  readonly depth: number
}

/** Reads the imports, exports and top declarations of a file. */
export function scan(text: string): SourceFile {
  const all = tokens(text)
  const code = all.filter((token) => token.kind !== 'doc')
  const lineOf = lineFinder(text)
  return {
    imports: importsIn(code, lineOf),
    exports: exportsIn(code, lineOf),
    declarations: declarationsIn(all, lineOf),
  }
}

/** Finds the line, from 1, of a position in `text`. */
export function lineFinder(text: string): (position: number) => number {
  const starts = [0]
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1)
  return (position) => {
    const next = starts.findIndex((start) => start > position)
    return next === -1 ? starts.length : next
  }
}

function importsIn(code: readonly Token[], lineOf: (position: number) => number): ImportStatement[] {
  const found: ImportStatement[] = []
  code.forEach((token, at) => {
    if (token.kind !== 'word' || isMark(code[at - 1], '.')) return
    const line = lineOf(token.start)
    const statement = importAt(code, at)
    if (statement) found.push({ ...statement, line })
    found.push(...threadsAt(code, at).map((specifier) => ({ specifier, typeOnly: false, dynamic: true, line })))
  })
  return found
}

function importAt(code: readonly Token[], at: number): Omit<ImportStatement, 'line'> | undefined {
  const word = code[at]?.text
  const next = code[at + 1]
  if (word === 'require' || word === 'import') {
    if (isMark(next, '(')) return callAt(code, at)
    if (word === 'import' && next?.kind === 'text') return { specifier: next.text, typeOnly: false, dynamic: false }
  }
  if (word !== 'import' && word !== 'export') return undefined
  const typeOnly = isWord(next, 'type') && !isWord(code[at + 2], 'from')
  const specifier = sourceAt(code, at + (typeOnly ? 2 : 1), word)
  return specifier === undefined ? undefined : { specifier, typeOnly, dynamic: false }
}

/** `import('x')` and `require('x')`; `typeof import('x')` and `import('x').Type` are types. */
function callAt(code: readonly Token[], at: number): Omit<ImportStatement, 'line'> | undefined {
  const argument = code[at + 2]
  if (argument?.kind !== 'text') return undefined
  const member = isMark(code[at + 3], ')') && isMark(code[at + 4], '.') ? code[at + 5]?.text : undefined
  const typeOnly = isWord(code[at - 1], 'typeof') || (member !== undefined && /^[A-Z]/.test(member))
  return { specifier: argument.text, typeOnly, dynamic: true }
}

/** Files in `new URL('./thread.ts', import.meta.url)`: how a worker thread is named. */
function threadsAt(code: readonly Token[], at: number): string[] {
  if (!isWord(code[at], 'URL') || !isMark(code[at + 1], '(')) return []
  const depth = code[at + 1]?.depth ?? 0
  const end = code.findIndex((token, i) => i > at + 1 && token.depth === depth && isMark(token, ')'))
  return code
    .slice(at, end === -1 ? code.length : end)
    .filter(({ kind, text }) => kind === 'text' && /^\.{1,2}\/.*\.ts$/.test(text))
    .map(({ text }) => text)
}

/** The specifier after `from`, if what starts at `at` is the clause of an import or of an export that passes on. */
function sourceAt(code: readonly Token[], at: number, word: string): string | undefined {
  const first = code[at]
  if (word === 'export' && !isMark(first, '{') && !isMark(first, '*')) return undefined
  for (let i = at; i < code.length; i++) {
    const token = code[i]
    const source = code[i + 1]
    if (isWord(token, 'from') && source?.kind === 'text') return source.text
    // A clause holds names, commas, braces, a star and strings; anything else ends the search.
    if (token?.kind === 'mark' && !['{', '}', ',', '*'].includes(token.text)) return undefined
    if (isMark(token, '}') && !isWord(source, 'from')) return undefined
  }
  return undefined
}

function exportsIn(code: readonly Token[], lineOf: (position: number) => number): ExportedName[] {
  const found: ExportedName[] = []
  code.forEach((token, at) => {
    if (!isWord(token, 'export') || token.depth > 0 || isMark(code[at - 1], '.')) return
    const start = isWord(code[at + 1], 'type') && isOpening(code[at + 2]) ? at + 2 : at + 1
    const line = lineOf(token.start)
    if (isOpening(code[start])) found.push(...listAt(code, start).map((entry) => ({ ...entry, line })))
    else {
      const name = declaredAt(code, start)?.name
      if (name !== undefined) found.push({ name, local: name, from: undefined, line })
    }
  })
  return found
}

/** `{ a, b as c } from 'x'`, `* from 'x'`, `* as a from 'x'`. */
function listAt(code: readonly Token[], at: number): Omit<ExportedName, 'line'>[] {
  const from = sourceAt(code, at, 'export')
  if (isMark(code[at], '*')) {
    const alias = isWord(code[at + 1], 'as') ? code[at + 2]?.text : undefined
    return [{ name: alias ?? '*', local: '*', from }]
  }
  const close = code.findIndex((token, i) => i > at && isMark(token, '}'))
  const names: Omit<ExportedName, 'line'>[] = []
  let entry: string[] = []
  for (const token of code.slice(at + 1, close === -1 ? code.length : close + 1)) {
    if (token.kind !== 'mark') entry.push(token.text)
    else {
      const words = entry.length % 2 === 0 && entry[0] === 'type' ? entry.slice(1) : entry
      const [local, , alias] = words
      if (local !== undefined) names.push({ name: alias ?? local, local, from })
      entry = []
    }
  }
  return names
}

function declarationsIn(all: readonly Token[], lineOf: (position: number) => number): Map<string, Declaration> {
  const found = new Map<string, Declaration>()
  let docstring: string | undefined
  all.forEach((token, at) => {
    if (token.depth > 0) return
    if (token.kind === 'doc') docstring = token.text
    else if (token.kind !== 'word' || !modifiers.has(token.text)) {
      const declared = token.kind === 'word' ? declaredAt(all, at) : undefined
      if (declared && !found.has(declared.name)) {
        found.set(declared.name, { kind: declared.kind, docstring, line: lineOf(token.start) })
      }
      docstring = undefined
    }
  })
  return found
}

const modifiers: ReadonlySet<string> = new Set(['export', 'default', 'declare', 'abstract', 'async'])
const kinds: ReadonlySet<string> = new Set(['function', 'class', 'const', 'let', 'var', 'interface', 'type', 'enum'])

function declaredAt(code: readonly Token[], at: number): { kind: string; name: string } | undefined {
  let i = at
  while (code[i]?.kind === 'word' && modifiers.has(code[i]?.text ?? '')) i++
  const kind = code[i]
  if (kind?.kind !== 'word' || !kinds.has(kind.text)) return undefined
  const name = code[isMark(code[i + 1], '*') ? i + 2 : i + 1]
  return name?.kind === 'word' ? { kind: kind.text, name: name.text } : undefined
}

/** Splits TypeScript into tokens; comments are left out, save docstrings. */
export function tokens(text: string): Token[] {
  const found: Token[] = []
  let depth = 0
  let last: Token | undefined
  for (let at = 0; at < text.length; ) {
    const piece = pieceAt(text, at, last)
    if (piece.kind !== undefined) {
      if (piece.kind === 'mark' && ')]}'.includes(piece.text)) depth--
      const token: Token = { kind: piece.kind, text: piece.text, start: at, depth }
      if (piece.kind === 'mark' && '([{'.includes(piece.text)) depth++
      found.push(token)
      if (token.kind !== 'doc') last = token
    }
    at = piece.end
  }
  return found
}

interface Piece {
  /** `undefined` for white space, comments and regular expressions. */
  readonly kind: Token['kind'] | undefined
  readonly text: string
  readonly end: number
}

const wordPattern = /[\p{ID_Continue}$#@]+/uy
const spacePattern = /\s+/y
/** A regular expression literal: classes may hold a bare slash, and none spans lines. */
const regexPattern = /\/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/[\\\n])+\/[a-z]*/y

function pieceAt(text: string, at: number, last: Token | undefined): Piece {
  const char = text.charAt(at)
  const space = match(spacePattern, text, at)
  if (space !== undefined) return { kind: undefined, text: space, end: at + space.length }
  if (text.startsWith('//', at)) return skipTo(text, at, '\n', 0)
  if (text.startsWith('/*', at)) return commentAt(text, at)
  if (char === "'" || char === '"') return stringAt(text, at, char)
  if (char === '`') return { kind: 'template', text: '', end: templateEnd(text, at) }
  const word = match(wordPattern, text, at)
  if (word !== undefined) return { kind: 'word', text: word, end: at + word.length }
  const regex = char === '/' && !endsValue(last) ? match(regexPattern, text, at) : undefined
  if (regex !== undefined) return { kind: 'template', text: '', end: at + regex.length }
  return { kind: 'mark', text: char, end: at + 1 }
}

function commentAt(text: string, at: number): Piece {
  const { end } = skipTo(text, at + 2, '*/', 2)
  const isDocstring = text.startsWith('/**', at) && end - at > 4
  return { kind: isDocstring ? 'doc' : undefined, text: text.slice(at + 1, end - 1), end }
}

function stringAt(text: string, at: number, quote: string): Piece {
  let end = at + 1
  while (end < text.length && text[end] !== quote && text[end] !== '\n') end += text[end] === '\\' ? 2 : 1
  return { kind: 'text', text: text.slice(at + 1, end), end: end + 1 }
}

/** Where a template literal ends, over nested templates, strings and comments in its `${}`. */
function templateEnd(text: string, at: number): number {
  let i = at + 1
  while (i < text.length && text[i] !== '`') {
    if (text[i] === '\\') i += 2
    else if (text.startsWith('${', i)) i = substitutionEnd(text, i + 2)
    else i++
  }
  return i + 1
}

function substitutionEnd(text: string, at: number): number {
  let open = 1
  let i = at
  let last: Token | undefined
  while (i < text.length && open > 0) {
    const piece = pieceAt(text, i, last)
    if (piece.kind === 'mark' && piece.text === '{') open++
    if (piece.kind === 'mark' && piece.text === '}') open--
    if (piece.kind !== undefined) last = { kind: piece.kind, text: piece.text, start: i, depth: 0 }
    i = piece.end
  }
  return i
}

/** After a value a slash divides; after anything else it opens a regular expression. */
function endsValue(last: Token | undefined): boolean {
  if (last === undefined) return false
  if (last.kind === 'word') return !['return', 'typeof', 'case', 'in', 'of', 'await', 'yield'].includes(last.text)
  return last.kind !== 'mark' || last.text === ')' || last.text === ']'
}

function skipTo(text: string, at: number, mark: string, length: number): Piece {
  const found = text.indexOf(mark, at)
  return { kind: undefined, text: '', end: found === -1 ? text.length : found + length }
}

function match(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at
  return pattern.exec(text)?.[0]
}

function isMark(token: Token | undefined, text: string): boolean {
  return token?.kind === 'mark' && token.text === text
}

function isWord(token: Token | undefined, text: string): boolean {
  return token?.kind === 'word' && token.text === text
}

function isOpening(token: Token | undefined): boolean {
  return isMark(token, '{') || isMark(token, '*')
}
