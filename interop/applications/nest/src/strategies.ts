import { Injectable, UnauthorizedException } from '@nestjs/common'
import { PassportSerializer, PassportStrategy } from '@nestjs/passport'
import { ExtractJwt, Strategy as JwtStrategy } from 'passport-jwt'
import { Strategy as LocalStrategy } from 'passport-local'
import { ada, type Person, SECRET } from './people'

@Injectable()
export class Local extends PassportStrategy(LocalStrategy) {
  async validate(username: string, password: string): Promise<Person> {
    if (username !== ada.name || password !== 'secret') throw new UnauthorizedException()
    return ada
  }
}

@Injectable()
export class Jwt extends PassportStrategy(JwtStrategy) {
  constructor() {
    super({ jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(), secretOrKey: SECRET })
  }

  validate(payload: { sub: string }): Person {
    if (payload.sub !== ada.id) throw new UnauthorizedException()
    return ada
  }
}

@Injectable()
export class People extends PassportSerializer {
  serializeUser(user: Person, done: (error: Error | null, id?: string) => void): void {
    done(null, user.id)
  }

  deserializeUser(id: string, done: (error: Error | null, user?: Person) => void): void {
    done(null, id === ada.id ? ada : undefined)
  }
}
