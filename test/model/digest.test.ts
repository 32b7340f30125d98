import { describe, expect, it } from 'vitest'
import { parseJson } from '../../src/json/parse.js'
import { canonicalJson } from '../../src/json/write.js'
import { dedupHash, sha3Base64, shake128Base64 } from '../../src/model/cursors/boundaryHashes.js'
import golden from '../golden/row_hash.json' with { type: 'json' }

describe('digests', () => {
  it.each(golden.row_hash.filter(({ json }) => !json.includes('_dlt')))(
    'row hash of $canonical',
    ({ json, row_hash }) => {
      expect(shake128Base64(canonicalJson(parseJson(json)), 10)).toBe(row_hash)
    },
  )

  it('pads version hashes', () => {
    expect(sha3Base64('')).toBe('p//G+L8e12ZRwUdWoGHWYvWA/03kO0n6gtgKS4D4Q0o=')
  })

  // Values of keys and whole records with the hashes that dlt stores for them.
  it.each([
    [10, 'vo6yPDUNbvwTGquSdaDy'],
    [1, '669czW83KR00ut4bv/U5'],
    [2, 'Tp44cKMYfAuJiBfxLAqu'],
    [3, 'Cn/dwi436vBbdERZ9hKf'],
    [{ at: 10, id: 1 }, 'aNnQdeKuCGPSAN3OtFHU'],
    [{ n: 1, meta: { at: '2024-02-01' } }, 'tBXxIGs9cCtwUBlevJaQ'],
    [{ n: 2, meta: { at: '2024-02-01' } }, 'dmNYkj16z2KeiuLwdXgY'],
  ])('de-duplicates %j', (key, hash) => {
    expect(dedupHash(key)).toBe(hash)
  })
})
