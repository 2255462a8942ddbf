import { createApp } from './app.ts'

const port = Number(process.env.PORT ?? 3000)
const { app, store } = createApp(process.env.DATABASE ?? 'sessions.db')
const server = app.listen(port, () => console.log(`http://localhost:${port}`))

process.once('SIGTERM', () => {
  server.close(() => store.close())
})
