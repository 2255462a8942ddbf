/** Waits until the condition holds. For changes whose time only the engine decides. */
export async function until(condition: () => Promise<boolean>, seconds = 30): Promise<void> {
  const end = performance.now() + seconds * 1000
  while (!(await condition())) {
    if (performance.now() > end) throw new Error('it has not happened in time')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
