/** Whether a person may be called that here: on one line, and without characters that turn the text around them (UAX #9 §2). */
export function isPersonName(name: string): boolean {
  return Array.from(name).length <= 80 && !/[\p{Cc}\p{Cs}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u.test(name)
}
