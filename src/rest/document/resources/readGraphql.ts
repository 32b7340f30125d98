import type { EndpointConfig, GraphqlConfig } from '../declaration/configTypes.js'
import type { BodyTemplate, ValueTemplate } from '../model.js'
import { formatPath, type Problems } from '../problems.js'
import type { MergedResource } from './mergeResource.js'
import { checkPath } from './readIncremental.js'
import type { TemplateReader } from './templates.js'

/** The body of a GraphQL request. Braces of the query are text, those of the variables may be placeholders. */
export function graphqlBody(
  merged: MergedResource,
  { query, variables, operation_name: operation, connection }: GraphqlConfig,
  reader: TemplateReader,
  problems: Problems,
): BodyTemplate {
  const { endpoint } = merged
  const at = merged.where('endpoint', 'graphql')
  for (const key of ['json', 'data'] as const) {
    if (endpoint[key] != null)
      problems.add(merged.where('endpoint', key), 'cannot be told with `graphql`, which is the body')
  }
  if (endpoint.method != null && endpoint.method !== 'POST')
    problems.add(merged.where('endpoint', 'method'), 'must be POST with `graphql`')
  if (connection != null) checkPath(connection, [...at, 'connection'], problems)
  const text = (value: string): ValueTemplate => ({ kind: 'text', template: [value] })
  const member = (key: string, value: ValueTemplate) => ({ key: [key], value })
  const value: ValueTemplate = {
    kind: 'object',
    entries: [
      member('query', text(query)),
      ...(operation == null ? [] : [member('operationName', text(operation))]),
      ...(variables == null ? [] : [member('variables', reader.value(variables, [...at, 'variables']))]),
    ],
  }
  return { kind: 'json', value, path: formatPath(at) }
}

/** The paginator of a Relay connection, as it would be written. Undefined if the document names no connection. */
export function relayPaginator({ graphql }: EndpointConfig) {
  if (graphql?.connection == null) return undefined
  const { connection, cursor_variable: variable } = graphql
  return {
    type: 'cursor',
    cursor_path: `${connection}.pageInfo.endCursor`,
    cursor_body_path: `variables.${variable ?? 'after'}`,
    has_more_path: `${connection}.pageInfo.hasNextPage`,
  } as const
}

/** Where the records of a Relay connection are. */
export function relaySelector({ graphql }: EndpointConfig): string | undefined {
  return graphql?.connection == null ? undefined : `${graphql.connection}.nodes`
}
