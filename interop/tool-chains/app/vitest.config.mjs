export default { test: { include: ['both.vitest.js'] } }
