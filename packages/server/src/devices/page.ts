import { html } from 'hono/html'
import type { Markup } from '../web/answer.ts'
import { deviceIcon } from '../web/assets.ts'
import { formToken, layout, noticeBox, type PageContext } from '../web/pages.ts'
import { ago, exactly } from '../web/time.ts'

/** One row of the device list. */
export interface DeviceView {
  readonly handle: string
  /** Whether this request comes from it. */
  readonly current: boolean
  readonly device: string
  readonly address: string | undefined
  /** Epoch milliseconds. */
  readonly loggedInAt: number
  readonly seenAt: number
  readonly expiresAt: number
  readonly remembered: boolean
}

/** @param view `now`: epoch milliseconds */
export function devicesPage(
  context: PageContext,
  { devices, now, notice }: { devices: readonly DeviceView[]; now: number; notice: string | undefined },
): Markup {
  const own = devices.filter((device) => device.current)
  const others = devices.filter((device) => !device.current)
  const body = html`<div class="title"><div><h1>Devices</h1>
<p class="lead">These devices are logged in to your account. Log out every device that you do not know or no longer use.</p></div></div>
${noticeBox(notice)}
<section class="card list" aria-labelledby="this">
<h2 id="this">This device</h2>
<ul>${own.map((device) => row(context, device, now))}</ul>
</section>
<section class="card list" aria-labelledby="others">
<div class="row"><h2 id="others">Other devices</h2>${others.length > 1 ? html`<form method="post" action="/account/sessions/end-others">${formToken(context)}<button class="danger" type="submit">Log out all others</button></form>` : ''}</div>
${others.length === 0 ? html`<p class="empty">No other device is logged in.</p>` : html`<ul>${others.map((device) => row(context, device, now))}</ul>`}
</section>`
  return layout(context, { title: 'Devices', width: 'wide', current: 'devices', body })
}

function row(context: PageContext, device: DeviceView, now: number): Markup {
  const name = device.device.slice(0, 1).toUpperCase() + device.device.slice(1)
  return html`<li class="device">
<span class="tile">${deviceIcon(device.device)}</span>
<div class="what">
<h3 id="d-${device.handle}">${name}${device.current ? html` <span class="badge">Current</span>` : ''}</h3>
<p>${device.current ? 'Active now' : html`Active ${ago(device.seenAt, now)}`}${device.address === undefined ? '' : html` <span class="dot">·</span> <span class="address">${device.address}</span>`}</p>
<p class="hint">Logged in ${exactly(device.loggedInAt)}${device.remembered ? ', remembered' : ''}</p>
</div>
<form method="post" action="/account/sessions/${device.handle}/end">${formToken(context)}<button class="second" type="submit" aria-describedby="d-${device.handle}">Log out</button></form>
</li>`
}
