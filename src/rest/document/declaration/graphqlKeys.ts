import { z } from 'zod'
import { jsonObject, key, name, required } from './pieces.js'

/** A query of GraphQL, in place of `json`. */
export const graphql = z
  .strictObject({
    query: required(name, 'The query, as it is: its braces are no placeholders. Values go into `variables`.'),
    variables: key(jsonObject, {
      description: 'Values of the query’s variables. May hold placeholders.',
      examples: [{ first: 100, since: '{incremental.start_value}' }],
    }),
    operation_name: key(name, 'Which operation to run, if the query has several.'),
    connection: key(name, {
      description:
        'JSONPath of the Relay connection in the answer. It sets the `paginator`, by `pageInfo`, and `data_selector`, its `nodes`, where the endpoint has none.',
      examples: ['data.orders'],
    }),
    cursor_variable: key(name, { description: 'The variable for the cursor of the next page.', default: 'after' }),
  })
  .meta({ id: 'graphql' })
