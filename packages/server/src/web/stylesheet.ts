/** The one stylesheet. System fonts, two colour schemes, no media but the page's own width. */
export const css: string = `
:root {
  color-scheme: light dark;
  --ground: #f4f6f4; --glow: #e3efe9; --sheet: #ffffff; --ink: #16211d; --soft: #55625c; --line: #dde3df; --edge: #84918b;
  --accent: #0b6b57; --accent-deep: #08503f; --on-accent: #ffffff; --tint: #e6f2ee; --field: #ffffff;
  --bad: #a8251b; --bad-tint: #fdeeec; --bad-line: #f0c4bf; --good: #1d6638; --good-tint: #e9f5ec; --good-line: #bfdfc8;
  --shadow: 0 1px 2px rgb(22 33 29 / 5%), 0 12px 32px -12px rgb(22 33 29 / 14%);
  --radius: 14px;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #0e1311; --glow: #14251f; --sheet: #161c1a; --ink: #e9efec; --soft: #a2b0a9; --line: #28312d; --edge: #6d7b74;
    --accent: #5bd6b4; --accent-deep: #85e5ca; --on-accent: #04241b; --tint: #17302a; --field: #0f1513;
    --bad: #ff9d94; --bad-tint: #2e1715; --bad-line: #5a2b27; --good: #8ddba4; --good-tint: #13261a; --good-line: #29503a;
    --shadow: 0 1px 2px rgb(0 0 0 / 40%), 0 16px 40px -16px rgb(0 0 0 / 70%);
  }
}
*, *::before, *::after { box-sizing: border-box; }
html { background: var(--ground); -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0; min-height: 100vh; min-height: 100dvh; display: flex; flex-direction: column;
  background: radial-gradient(60rem 32rem at 50% -12rem, var(--glow), transparent) no-repeat var(--ground);
  color: var(--ink); font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", Ubuntu, Cantarell, sans-serif;
  -webkit-font-smoothing: antialiased; overflow-wrap: anywhere;
}
h1, h2, h3, p, dl, dd, ul { margin: 0; padding: 0; }
ul { list-style: none; }
h1 { font-size: 1.75rem; line-height: 1.2; font-weight: 680; letter-spacing: -0.022em; text-wrap: balance; }
h2 { font-size: 1.0625rem; line-height: 1.35; font-weight: 640; letter-spacing: -0.008em; }
h3 { font-size: 1rem; line-height: 1.4; font-weight: 600; }
.lead { color: var(--soft); font-size: 1.0625rem; text-wrap: pretty; }
.hint, .optional { color: var(--soft); font-size: 0.875rem; line-height: 1.5; }
.optional { font-weight: 400; margin-inline-start: 0.25rem; }
a { color: var(--accent); text-underline-offset: 0.18em; text-decoration-thickness: 0.07em; }
a:hover { color: var(--accent-deep); text-decoration-thickness: 0.12em; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; border-radius: 6px; }
main:focus { outline: none; }
.skip { position: absolute; inset-inline-start: 1rem; top: -4rem; z-index: 1; padding: 0.5rem 1rem; border-radius: 8px; background: var(--ink); color: var(--ground); }
.skip:focus { top: 0.75rem; color: var(--ground); }

.top .inner { display: flex; align-items: center; flex-wrap: wrap; gap: 0.5rem 1.25rem; margin: 0 auto; padding: 1.125rem 1.25rem; max-width: 46rem; }
.brand { display: inline-flex; align-items: center; gap: 0.625rem; margin-inline-end: auto; color: var(--ink); font-weight: 660; font-size: 1.0625rem; letter-spacing: -0.012em; text-decoration: none; }
.brand:hover { color: var(--ink); }
.mark { flex: none; display: block; }
.mark rect { fill: var(--accent); }
.mark g { fill: none; stroke: var(--on-accent); stroke-width: 2.4; stroke-linecap: round; stroke-linejoin: round; }
.wide .top { border-bottom: 1px solid var(--line); background: var(--sheet); }
.top nav { display: flex; gap: 0.25rem; }
.top nav a { padding: 0.375rem 0.75rem; border-radius: 8px; color: var(--soft); font-weight: 550; text-decoration: none; }
.top nav a:hover { color: var(--ink); background: var(--tint); }
.top nav a[aria-current] { color: var(--accent); background: var(--tint); }

main { flex: 1; width: 100%; margin: 0 auto; padding: 2.25rem 1.25rem 3rem; display: grid; align-content: start; gap: 1.25rem; }
.wide main { max-width: 46rem; }
.narrow main { max-width: 28rem; }
.narrow .top .inner { max-width: 28rem; justify-content: center; padding-top: 2.5rem; padding-bottom: 0; }
.narrow .brand { font-size: 1.1875rem; }
.narrow .brand:only-child { margin-inline: auto; }
.bottom { padding: 1.25rem; text-align: center; color: var(--soft); font-size: 0.8125rem; }
.aside { text-align: center; color: var(--soft); }

.card { background: var(--sheet); border: 1px solid var(--line); border-radius: var(--radius); box-shadow: var(--shadow); padding: 2rem; display: grid; gap: 1rem; align-content: start; }
.card > h1 + .lead { margin-top: -0.625rem; }
.wide .card { padding: 1.5rem; box-shadow: none; }
.title { display: flex; align-items: center; gap: 1rem; margin-bottom: 0.25rem; }
.title .lead { margin-top: 0.25rem; }
.title > div { min-width: 0; }
.monogram { flex: none; display: grid; place-items: center; width: 3.5rem; height: 3.5rem; border-radius: 50%; background: var(--tint); color: var(--accent); font-size: 1.5rem; font-weight: 640; }
.row { display: flex; flex-wrap: wrap; align-items: center; justify-content: space-between; gap: 0.75rem 1.5rem; }

form { display: grid; gap: 1.125rem; margin: 0; }
.field { display: grid; gap: 0.375rem; }
label { font-weight: 570; }
input[type=email], input[type=password], input[type=text] {
  width: 100%; min-height: 2.875rem; padding: 0.5rem 0.875rem; font: inherit; color: var(--ink); background: var(--field);
  border: 1px solid var(--edge); border-radius: 10px;
}
input:focus-visible { outline: 3px solid var(--accent); outline-offset: -1px; border-color: transparent; border-radius: 10px; }
input[aria-invalid] { border-color: var(--bad); box-shadow: inset 0 0 0 1px var(--bad); }
.problem { color: var(--bad); font-size: 0.9375rem; line-height: 1.45; }
.tick { display: flex; gap: 0.75rem; align-items: start; }
.tick input { flex: none; width: 1.25rem; height: 1.25rem; margin: 0.15rem 0 0; accent-color: var(--accent); }
button, .button {
  display: inline-flex; align-items: center; justify-content: center; min-height: 2.875rem; padding: 0.5rem 1.25rem; font: inherit; font-weight: 600;
  color: var(--on-accent); background: var(--accent); border: 1px solid transparent; border-radius: 10px; text-decoration: none; cursor: pointer;
}
button:hover, .button:hover { background: var(--accent-deep); color: var(--on-accent); }
button:focus-visible, .button:focus-visible { border-radius: 10px; }
button.second, .button.second { color: var(--ink); background: transparent; border-color: var(--edge); }
button.second:hover, .button.second:hover { color: var(--ink); background: var(--tint); border-color: var(--accent); }
button.danger { color: var(--bad); background: transparent; border-color: var(--bad-line); }
button.danger:hover { color: var(--bad); background: var(--bad-tint); border-color: var(--bad); }
button.quiet { min-height: 2.25rem; padding: 0.25rem 0.75rem; color: var(--ink); background: transparent; border-color: var(--line); font-weight: 550; border-radius: 8px; }
button.quiet:hover { color: var(--ink); background: var(--tint); border-color: var(--edge); }
.wide main button, .wide main .button { min-height: 2.5rem; padding: 0.375rem 1rem; font-size: 0.9375rem; }
.actions { display: flex; flex-wrap: wrap; gap: 0.75rem; margin-top: 0.25rem; }
.actions .button { flex: 1 1 100%; }
.wide .actions .button { flex: 0 1 auto; }

.box { display: flex; gap: 0.75rem; padding: 0.875rem 1rem; border: 1px solid; border-radius: 10px; font-size: 0.9375rem; line-height: 1.5; }
.box .icon { width: 1.375rem; height: 1.375rem; }
.box ul { display: grid; gap: 0.25rem; margin-top: 0.25rem; }
.box a { color: inherit; }
.done { color: var(--good); background: var(--good-tint); border-color: var(--good-line); }
.failed { color: var(--bad); background: var(--bad-tint); border-color: var(--bad-line); }
.icon { flex: none; fill: none; stroke: currentcolor; stroke-width: 1.7; stroke-linecap: round; stroke-linejoin: round; }
.status { font-size: 0.9375rem; font-weight: 640; color: var(--accent); font-variant-numeric: tabular-nums; margin-bottom: -0.75rem; }

dl { display: grid; gap: 0.75rem; }
dl > div { display: grid; grid-template-columns: 10rem 1fr; gap: 0.125rem 1rem; }
dt { color: var(--soft); }
dd { min-width: 0; }
.list { padding-bottom: 0.5rem !important; }
.device { display: grid; grid-template-columns: auto 1fr auto; align-items: center; gap: 0.25rem 1rem; padding: 1rem 0; border-top: 1px solid var(--line); }
.device p { color: var(--soft); font-size: 0.9375rem; line-height: 1.5; }
.device .hint { font-size: 0.875rem; }
.what { min-width: 0; }
.what h3 { display: flex; flex-wrap: wrap; align-items: center; gap: 0.125rem 0.625rem; }
.tile { display: grid; place-items: center; width: 2.75rem; height: 2.75rem; border-radius: 12px; color: var(--accent); background: var(--tint); align-self: start; }
.badge { padding: 0.0625rem 0.5rem; border-radius: 99px; color: var(--good); background: var(--good-tint); border: 1px solid var(--good-line); font-size: 0.75rem; font-weight: 600; }
.dot { margin-inline: 0.125rem; }
.address { font-variant-numeric: tabular-nums; }
.empty { color: var(--soft); padding: 0.25rem 0 1rem; }

.or { display: flex; align-items: center; gap: 0.75rem; color: var(--soft); font-size: 0.875rem; }
.or::before, .or::after { content: ""; flex: 1; border-top: 1px solid var(--line); }
.providers { display: grid; gap: 0.625rem; }
.providers .button { width: 100%; }
.only { text-align: end; }
.linkable { display: grid; gap: 0.5rem; padding: 1rem 0; border-top: 1px solid var(--line); }

@media (max-width: 36rem) {
  h1 { font-size: 1.5rem; }
  main { padding-top: 1.5rem; }
  .card { padding: 1.5rem 1.25rem; }
  .wide .card { padding: 1.25rem; }
  .wide .top .inner { padding-block: 0.75rem; }
  .wide .top nav { order: 1; flex-basis: 100%; margin-inline: -0.75rem; }
  dl > div { grid-template-columns: 1fr; }
  .device { grid-template-columns: auto 1fr; }
  .device > .only { grid-column: 2; text-align: start; }
  .device form { grid-column: 2; justify-items: start; margin-top: 0.5rem; }
}
@media (prefers-reduced-motion: no-preference) {
  button, .button, .top nav a { transition: background-color 120ms, border-color 120ms, color 120ms; }
}
@media (forced-colors: active) {
  .badge, .tile, .monogram { border: 1px solid; }
  .mark rect { fill: LinkText; }
}
`.trimStart()
