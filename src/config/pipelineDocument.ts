import { z } from 'zod'
import { later } from '../model/runtime/firstUse.js'
import { restDocument } from '../rest/document/declaration/declaration.js'
import { schemaContract } from '../rest/document/declaration/hintKeys.js'
import { count, key, name } from '../rest/document/declaration/pieces.js'
import { strictObject } from '../rest/document/declaration/strictObject.js'
import { notifications } from './notify/notifyKeys.js'

/** The keys of `source` besides those of a `rest_api` document. */
const sourceKeys = later(() => ({
  name: key(name, {
    description: 'Name of the source: of its schema and of its state.',
    default: 'rest_api',
  }),
  max_table_nesting: key(
    z.int().min(0),
    'How many levels of nested lists become tables, for resources without a value of their own.',
  ),
  root_key: key(z.boolean(), {
    description: 'Adds the id of the top-level row to nested tables.',
    default: false,
  }),
  schema_contract: key(schemaContract, 'Schema contract of resources without one of their own.'),
  parallelized: key(z.boolean(), 'Accepted for dlt, without effect. Lists are always read in parallel.'),
}))

/** Those that a flat file takes too. Its `name` is that of the pipeline. */
const besideClient = later(() => {
  const { name: _ofSource, ...others } = sourceKeys()
  return others
})

const destination = z.string()
const dataset = name

/** Also the name of a folder. */
const profileName = z.string().regex(/^\w[\w.-]*$/, 'expected a name of letters, digits, `_`, `-` and `.`')

/** What a profile changes. */
const profile = strictObject(() => ({
  destination: key(destination, 'Where to load to. Default: as without the profile.'),
  dataset: key(dataset, 'Name of the dataset. Default: as without the profile.'),
  limit: key(count, 'Stop after so many pages of each list: a trial.'),
  concurrency: key(count, 'Most requests in flight.'),
  notify: key(notifications, 'Who is told of runs of this profile. Default: as without the profile; `[]`: nobody.'),
})).meta({
  description: 'Has a `destination` or a `dataset` of its own, so that its state is never mixed with another.',
})

/** The keys of a pipeline around its source. */
const pipelineKeys = later(() => ({
  name: key(name, 'Name of the pipeline, the key of its state. Default: the name of the file.'),
  destination: key(destination, {
    description:
      'Where to load to. Paths are relative to this file. `${secrets.name}` and `${env.NAME}` may stand for the user, the password and the values of parameters, or for all of it. Default: `duckdb:<name>.duckdb`.',
    examples: ['duckdb:feedback.duckdb', 'postgres://loader:${secrets.db_password}@db.example.com/warehouse'],
  }),
  dataset: key(dataset, 'Name of the dataset, the schema of the database. Default: `<name>_dataset`.'),
  notify: key(notifications, {
    description:
      'Who is told after a run, a replay or a backfill: a command, or a webhook. It never fails the run. The page "In production" explains it.',
    examples: [{ on: 'failure', webhook: '${secrets.chat_webhook}' }],
  }),
  profiles: key(z.record(profileName, profile), {
    description: 'Other places to load to, by name. `--profile prod` or `SLUICE_PROFILE=prod` chooses one.',
    examples: [{ prod: { destination: '${secrets.warehouse_url}', dataset: 'feedback' } }],
  }),
  schedule: key(
    z
      .string()
      .regex(
        /^(CRON_TZ=\S+\s+)?(@(hourly|daily|weekly|monthly|yearly)|\S+(\s+\S+){4})$/,
        'expected five fields as in "0 6 * * *"',
      ),
    {
      description:
        'When `sluice worker` runs the pipeline by itself, as five fields of cron in UTC; `CRON_TZ=Europe/Berlin 0 6 * * *` names a time zone. Other commands do not read it.',
      examples: ['0 * * * *'],
    },
  ),
  journal: key(z.string().min(1), {
    description:
      'A bucket, `s3://bucket/prefix`, that keeps the pages of a run until they are committed, so that another machine goes on with a run whose machine is gone. Settings follow a `?` and credentials come from the environment, as with the destination. Default: the working folder alone.',
    examples: ['s3://loads/journals', '${env.JOURNALS}'],
  }),
  import_schema_path: key(z.string().min(1), {
    description:
      'Folder of `<schema>.schema.yaml`, or that file: hints that win over data and source. The first run writes it.',
    examples: ['schemas/import'],
  }),
  export_schema_path: key(z.string().min(1), {
    description: 'Folder of `<schema>.schema.yaml`, or that file: the schema as each run committed it.',
    examples: ['schemas/export'],
  }),
}))

const sourceDocument = strictObject(() => ({ ...sourceKeys(), ...restDocument.shape })).meta({
  description: 'Where the records come from: a `rest_api` document, and a few keys around it.',
})

/** A pipeline file with the document under `source`. */
export const wrappedPipeline = strictObject(() => ({
  $schema: key(z.string(), 'Address of the JSON Schema, for editors.'),
  ...pipelineKeys(),
  source: sourceDocument,
}))

/** A pipeline file with the keys of the pipeline beside those of the document. */
export const flatPipeline = strictObject(() => ({ ...pipelineKeys(), ...besideClient(), ...restDocument.shape }))

/** The keys of a flat file around its document, and all that it takes. */
export const flatKeyNames = later((): readonly string[] => Object.keys({ ...pipelineKeys(), ...besideClient() }))
export const everyFlatKey = later((): readonly string[] => Object.keys(flatPipeline.shape))
export const sourceKeyNames = later((): readonly string[] => Object.keys(sourceKeys()))

/** The keys of a flat file around the document. */
export const flatWrapper = strictObject(() => ({ ...pipelineKeys(), ...besideClient() }))

/** Checks the keys around the document. The document has its own check. */
export const wrapperOnly = strictObject(() => ({
  $schema: key(z.string(), ''),
  ...pipelineKeys(),
  source: z.looseObject(sourceKeys()).optional(),
}))
