import 'reflect-metadata'
import { NestFactory } from '@nestjs/core'
import session from 'express-session'
import passport from 'passport'
import { AppModule } from './app.module'

async function bootstrap(): Promise<void> {
  const app = await NestFactory.create(AppModule, { logger: false })
  app.use(session({ secret: 'nest', resave: false, saveUninitialized: false }))
  app.use(passport.session())
  await app.listen(Number(process.env.PORT), '127.0.0.1')
}
void bootstrap()
