/** The floors of ARCHITECTURE.md, as rules. Type imports count: a circle of types is a circle for a reader too. */
const GROUND = '^src/(model|json|schema)/'
const MIDDLE = ['rest', 'journal', 'normalize', 'destinations', 'testing']

const upward = (from, to) => ({
  name: `${from.name}-is-below`,
  comment: 'Imports go downward only.',
  severity: 'error',
  from: { path: from.path },
  to: { path: to },
})

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'no-circles',
      comment: 'What two modules need of each other belongs into one of them, or into a third.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'no-unresolved',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'no-tools-in-the-package',
      comment: 'Users do not have the packages that only tests and builds need.',
      severity: 'error',
      from: { path: '^src/', pathNot: '\\.as\\.ts$|^src/studio/page/' },
      // What `scripts/bundle.mjs` builds in, users need not have.
      to: {
        dependencyTypes: ['npm-dev'],
        dependencyTypesNot: ['npm-peer', 'type-only'],
        pathNot: '^node_modules/(hono|@hono/node-server)/',
      },
    },
    {
      name: 'no-tests-in-the-package',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(test|bench|demo|scripts|examples)/' },
    },
    upward({ name: 'ground', path: GROUND }, '^src/(?!model/|json/|schema/)'),
    ...MIDDLE.map(room => upward({ name: room, path: `^src/${room}/` }, `^src/(?!${room}/|model/|json/|schema/)`)),
    upward(
      { name: 'pipeline', path: '^src/pipeline/' },
      '^src/(rest|normalize/kernel|destinations|testing|config|import|recording|worker|studio|cli|index)',
    ),
    upward({ name: 'config', path: '^src/config/' }, '^src/(import|recording|worker|studio|cli|index|testing)'),
    upward({ name: 'recording', path: '^src/recording/' }, '^src/(cli|import|worker|studio|index|testing)'),
    upward({ name: 'import', path: '^src/import/' }, '^src/(cli|recording|worker|studio|index|testing)'),
    upward({ name: 'worker', path: '^src/worker/' }, '^src/(cli|import|recording|studio|index|testing)'),
    upward({ name: 'studio', path: '^src/studio/' }, '^src/(cli|worker|index|testing)'),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '\\.(as|wasm)\\.ts$' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    detectProcessBuiltinModuleCalls: true,
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'types', 'default'] },
  },
}
