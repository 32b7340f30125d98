import { testCrashes } from './crash.js'
import { places } from './places.js'

testCrashes(places.files)
