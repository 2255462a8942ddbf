import type { ServerResponse } from 'node:http'

/** Writes an answer to a Node response, unless one has begun to leave or nobody is there any more. */
export async function send(res: ServerResponse, answer: Response): Promise<void> {
  const body = answer.body === null ? undefined : await answer.text()
  if (res.headersSent || res.destroyed) return
  res.statusCode = answer.status
  for (const [name, value] of answer.headers) res.setHeader(name, value)
  if (body !== undefined) res.setHeader('Content-Length', Buffer.byteLength(body))
  res.end(body)
}
