export type { FilesOptions } from '../destinations/files/files.js'
export type { S3Credentials, S3Options } from '../destinations/files/s3/options.js'
export type {
  AuthConfig,
  ClientConfig,
  EndpointConfig,
  PaginatorConfig,
  ResourceConfig,
  ResourceDefaultsConfig,
  RestApiConfig,
  RetryConfig,
} from '../rest/config/declaration.js'
export type { RecordsFunction, ResponseFunction, ResponseView } from '../rest/config/model.js'
export { destinationFromUrl } from './destinations.js'
export { type DraftOptions, draftPipeline, type PipelineDraft } from './draft.js'
export type { DraftAuth } from './draftYaml.js'
export type { Environment } from './environment.js'
export { files } from './files.js'
export { loadPipelineFile, type PipelineFile, type PipelineFileOptions } from './pipelineFile.js'
export { type RestApiOptions, restApi } from './restApi.js'
