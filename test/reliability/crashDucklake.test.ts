import { describe } from 'vitest'
import { extensions } from '../destinations/lakeExtensions.js'
import { testCrashes } from './crash.js'
import { places } from './places.js'

describe.skipIf(extensions === undefined)('in a lake', () => {
  testCrashes(places.ducklake)
})
