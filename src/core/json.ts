/** JSON that keeps its digits: values, reading and writing. */
export { keepNumberLiterals, numberLiteral, setNumberLiteral } from './json/literals.js'
export { JsonSyntaxError, parseJson } from './json/parse.js'
export { type JsonObject, type JsonValue, MAX_JSON_DEPTH } from './json/value.js'
export { canonicalJson, stringifyJson } from './json/write.js'
