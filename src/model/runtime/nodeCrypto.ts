import { later } from './firstUse.js'

/**
 * Node's cryptography, loaded when it is first used. For modules that are loaded with the library: an `import` costs every
 * program a tenth of its start, and most use none before they send or write something.
 */
export const nodeCrypto = later(() => process.getBuiltinModule('node:crypto'))
