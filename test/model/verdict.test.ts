import { describe, expect, it } from 'vitest'
import { DataError } from '../../src/model/errors.js'
import type { ListEnd } from '../../src/model/source.js'
import { type JudgedParent, type Judgement, judgeChild, judgeList, ResourceJudge } from '../../src/model/verdict.js'

const proven: ListEnd = { end: 'proven', reason: 'it ended' }
const limited: ListEnd = { end: 'limited', reason: 'it was cut' }
const suspect: ListEnd = { end: 'suspect', reason: 'it broke' }

describe('a list', () => {
  it.each<[ListEnd | undefined, number, number | undefined, Judgement['verdict']]>([
    [proven, 3, undefined, 'complete'],
    [proven, 3, 3, 'complete'],
    [proven, 2, 3, 'incomplete'],
    [proven, 4, 3, 'unproven'],
    [limited, 3, 3, 'unproven'],
    [suspect, 3, 3, 'incomplete'],
    [undefined, 3, 3, 'unproven'],
  ])('%j with %d of %s records is %s', (end, records, announced, verdict) => {
    expect(judgeList(end, records, announced).verdict).toBe(verdict)
  })
})

describe('a resource', () => {
  const absent: ListEnd = { ...limited, unlessSeen: { what: 'next link', end: proven } }
  const judged = (...ends: ListEnd[]): Judgement => {
    const judge = new ResourceJudge()
    for (const end of ends) judge.list(end, 1, undefined)
    return judge.judgement()
  }

  it('is as its gravest list, with the reasons for that alone', () => {
    expect(judged(proven, limited, limited, proven)).toEqual({ verdict: 'unproven', reasons: ['it was cut (2 lists)'] })
    expect(judged(limited, suspect)).toEqual({ verdict: 'incomplete', reasons: ['it broke'] })
  })

  it('believes a list without a link where another one, before it or after it, had one', () => {
    const seen: ListEnd = { ...proven, saw: ['next link'] }
    expect(judged(absent).verdict).toBe('unproven')
    expect(judged(seen, absent).verdict).toBe('complete')
    expect(judged(absent, seen).verdict).toBe('complete')
  })

  it('fails where no list has what the document says that all have', () => {
    const failure = new DataError('selector', 'nothing at items', {})
    const left: ListEnd = { ...limited, unlessSeen: { what: 'list', end: limited, failure } }
    expect(() => judged(left, left)).toThrow('nothing at items')
    expect(judged(left, { ...proven, saw: ['list'] }).verdict).toBe('unproven')
  })

  it.each<[boolean, number, Judgement['verdict']]>([
    [true, 9, 'complete'],
    [false, 9, 'unproven'],
    [false, 8, 'complete'],
  ])(
    'read twice, where records that come twice are one row: %s, with %d records is %s',
    (areMerged, records, verdict) => {
      const judge = new ResourceJudge(areMerged)
      judge.list({ ...proven, distinct: 8 }, records, 8)
      expect(judge.judgement().verdict).toBe(verdict)
    },
  )

  it('without a list is complete', () => {
    expect(judged()).toMatchObject({ verdict: 'complete', reasons: [expect.stringContaining('no parent')] })
  })

  it('keeps a bounded number of reasons', () => {
    const ends = Array.from({ length: 5000 }, (_, index): ListEnd => ({ end: 'limited', reason: `reason ${index}` }))
    expect(judged(...ends).reasons).toHaveLength(100)
  })
})

describe('a child', () => {
  const complete: Judgement = { verdict: 'complete', reasons: ['it ended'] }
  const parent = (verdict: Judgement['verdict'], isIncremental = false): JudgedParent => ({
    name: 'shops',
    verdict,
    reasons: ['why'],
    isIncremental,
  })

  it.each<[Judgement['verdict'], JudgedParent | undefined, Judgement['verdict']]>([
    ['complete', undefined, 'complete'],
    ['complete', parent('complete'), 'complete'],
    ['complete', parent('unproven'), 'unproven'],
    ['complete', parent('incomplete'), 'incomplete'],
    ['complete', parent('complete', true), 'unproven'],
    ['incomplete', parent('unproven'), 'incomplete'],
    ['unproven', parent('incomplete'), 'incomplete'],
  ])('that is %s below %j is %s', (own, above, verdict) => {
    expect(judgeChild({ ...complete, verdict: own }, above).verdict).toBe(verdict)
  })

  it('says what its parent lacks', () => {
    expect(judgeChild(complete, parent('unproven')).reasons).toEqual(['its parent shops is unproven: why'])
  })
})
