import { createServer } from 'node:http'
import { createSchema, createYoga } from 'graphql-yoga'

/** A shop behind GraphQL Yoga, whose answers tell a bucket of costs as Shopify's do, and a budget as GitHub's does. */
export async function yogaServer({ orders, bucket, budget }) {
  const asked = []
  const spend = () => {
    if (bucket === undefined || bucket.take()) return
    throw Object.assign(new Error('Throttled'), { extensions: { code: 'THROTTLED' } })
  }
  const yoga = createYoga({
    logging: false,
    maskedErrors: false,
    schema: createSchema({
      typeDefs: `
        type Query {
          orders(first: Int = 2, after: String): OrderConnection
          rateLimit: RateLimit
        }
        type RateLimit { cost: Int! remaining: Int! resetAt: String! }
        type OrderConnection { nodes: [Order!]! pageInfo: PageInfo! totalCount: Int! }
        type Order { id: Int! }
        type PageInfo { endCursor: String hasNextPage: Boolean! }`,
      resolvers: {
        Query: {
          orders(_root, { first, after }) {
            spend()
            const start = after === null || after === undefined ? 0 : orders.indexOf(Number(after)) + 1
            const ids = orders.slice(start, start + first)
            const hasNextPage = start + first < orders.length
            const pageInfo = { endCursor: ids.length === 0 ? null : String(ids.at(-1)), hasNextPage }
            return { nodes: ids.map(id => ({ id })), pageInfo, totalCount: orders.length }
          },
          rateLimit: () => budget?.() ?? null,
        },
      },
    }),
    plugins: [
      {
        onExecute: ({ args }) => {
          asked.push(args.variableValues)
          return {
            onExecuteDone({ result, setResult }) {
              if (bucket !== undefined) setResult({ ...result, extensions: { cost: bucket.told() } })
            },
          }
        },
      },
    ],
  })
  const server = createServer(yoga)
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
  const close = () =>
    new Promise(resolve => {
      server.close(resolve)
      server.closeAllConnections()
    })
  return { origin: `http://127.0.0.1:${server.address().port}`, asked, close }
}
