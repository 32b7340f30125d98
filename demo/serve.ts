import { ordinaryFaults, startDemoApi } from './server.js'

/** `npm run demo:api`: the demo API on its own, to point a pipeline of yours at. Ctrl-C ends it. */
const api = await startDemoApi({ port: 8787, apiKey: 'demo-key', faults: ordinaryFaults })
console.log(`The demo API listens. In another terminal:

  export DEMO_API_URL=${api.url} API_KEY=demo-key
  npx sluice run examples/feedback.yaml
`)
process.once('SIGINT', () => api.close())
