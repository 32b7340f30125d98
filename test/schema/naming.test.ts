import { describe, expect, it } from 'vitest'
import { ConfigError } from '../../src/model/errors.js'
import { datasetName, type NamingName, naming, shorteningTag, strip } from '../../src/schema/naming.js'
import golden from '../golden/naming.json' with { type: 'json' }
import fc from '../properties.js'

const names = ['snake_case', 'sql_ci_v1', 'sql_cs_v1', 'direct', 'duck_case'] as const satisfies NamingName[]

interface Vector {
  readonly normalize_identifier?: unknown
  readonly normalize_path?: unknown
}

/** Vectors say `{"error": …}` where a name is refused. */
function outcome(call: () => string): unknown {
  try {
    return call()
  } catch {
    return 'refused'
  }
}

function expected(vector: unknown): unknown {
  return typeof vector === 'string' ? vector : 'refused'
}

describe.each(names)('%s', name => {
  const convention = naming(name)
  const vectors = golden.identifiers as unknown as (Record<NamingName, Vector> & { in: string })[]

  it.each(vectors.map(vector => [vector.in, vector[name]] as const))('names %j', (raw, vector) => {
    expect(outcome(() => convention.identifier(raw))).toEqual(expected(vector.normalize_identifier))
    expect(outcome(() => convention.path(raw))).toEqual(expected(vector.normalize_path))
  })

  it('keeps what it has named', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1 }), raw => {
        fc.pre(strip(raw) !== '')
        const once = convention.identifier(raw)
        fc.pre(strip(once) !== '')
        expect(convention.identifier(once)).toBe(once)
      }),
    )
  })

  it('never exceeds its limit', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary', minLength: 1, maxLength: 100 }),
        fc.integer({ min: 6, max: 40 }),
        (raw, limit) => {
          fc.pre(strip(raw) !== '')
          const limited = naming(name, limit)
          expect(Array.from(limited.identifier(raw)).length).toBeLessThanOrEqual(limit)
          expect(Array.from(limited.path(`${raw}${limited.separator}${raw}`)).length).toBeLessThanOrEqual(limit)
        },
      ),
    )
  })
})

describe('shortening', () => {
  it.each(golden.shortening)('to $max_length: $in', ({ max_length, in: raw, normalize_identifier, normalize_path }) => {
    const convention = naming('snake_case', max_length)
    expect(convention.identifier(raw)).toBe(normalize_identifier)
    expect(convention.path(raw)).toBe(normalize_path)
  })

  it.each(golden.tags)('tags $in', ({ in: raw, tag }) => {
    expect(shorteningTag(raw)).toBe(tag)
  })

  it.each(golden.fragments)('joins $parts', ({ max_length, parts, out }) => {
    expect(naming('snake_case', max_length).shortenFragments(...parts)).toBe(out)
  })

  it('counts code points', () => {
    expect(naming('direct', 6).identifier('😀😀😀😀😀😀')).toBe('😀😀😀😀😀😀')
  })

  it('refuses limits below the tag', () => {
    expect(() => naming('snake_case', 5)).toThrow(RangeError)
  })
})

describe('naming', () => {
  it('joins without blank parts', () => {
    expect(naming('snake_case').joinPath('a', '', ' ', 'b')).toBe('a__b')
    expect(naming('direct').joinPath('a', 'b')).toBe('a▶b')
  })

  it('names datasets like tables', () => {
    expect(datasetName('My Data-Set', naming('snake_case'))).toBe('my_data_set')
  })

  it('understands the module path of a stored schema', () => {
    expect(naming('dlt.common.normalizers.naming.direct' as NamingName).name).toBe('direct')
  })

  it('proposes the near miss of an unknown convention', () => {
    expect(() => naming('snakeCase' as NamingName)).toThrow(ConfigError)
    expect(() => naming('snakeCase' as NamingName)).toThrow(/did you mean 'snake_case'/)
    expect(() => naming('camel' as NamingName)).toThrow(/snake_case, direct/)
    expect(() => naming('constructor' as NamingName)).toThrow(ConfigError)
  })

  it('strips the white space of Python', () => {
    expect(strip('\u001c\u0085 a b \u3000\n')).toBe('a b')
    expect(strip('\ufeffa')).toBe('\ufeffa')
    expect(strip(' \t')).toBe('')
  })

  it('takes time in proportion to the length of a key', () => {
    expect(naming('snake_case').identifier(`${'_'.repeat(200_000)}a`)).toBe('_a')
    expect(strip(`${' '.repeat(200_000)}a${' '.repeat(200_000)}`)).toBe('a')
  })
})
