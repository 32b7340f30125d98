export { type TestOptions, testRecording } from './recording/testRecording.js'
export { type DestinationCase, type DestinationUnderTest, testDestination } from './testing/testDestination.js'
