import { Controller, type ExecutionContext, Get, Injectable, Module, Post, Req, UnauthorizedException, UseGuards } from '@nestjs/common'
import { AuthGuard, PassportModule } from '@nestjs/passport'
import type { Request } from 'express'
import { sign } from 'jsonwebtoken'
import { type Person, SECRET } from './people'
import { Jwt, Local, People } from './strategies'

@Injectable()
class LoginGuard extends AuthGuard('local') {
  override async canActivate(context: ExecutionContext): Promise<boolean> {
    const allowed = (await super.canActivate(context)) as boolean
    await super.logIn(context.switchToHttp().getRequest<Request>())
    return allowed
  }
}

@Controller()
class AppController {
  @UseGuards(LoginGuard)
  @Post('login')
  login(@Req() req: Request): { name: string } {
    return { name: (req.user as Person).name }
  }

  @Get('me')
  me(@Req() req: Request): { name: string } {
    if (!req.isAuthenticated()) throw new UnauthorizedException()
    return { name: (req.user as Person).name }
  }

  @Post('logout')
  logout(@Req() req: Request): Promise<void> {
    return new Promise((resolve, reject) => req.logout((error) => (error ? reject(error) : resolve())))
  }

  @UseGuards(AuthGuard('local'))
  @Post('token')
  token(@Req() req: Request): { token: string } {
    return { token: sign({ sub: (req.user as Person).id }, SECRET) }
  }

  @UseGuards(AuthGuard('jwt'))
  @Get('profile')
  profile(@Req() req: Request): { name: string } {
    return { name: (req.user as Person).name }
  }
}

@Module({
  imports: [PassportModule.register({ session: true })],
  controllers: [AppController],
  providers: [Local, Jwt, People],
})
export class AppModule {}
