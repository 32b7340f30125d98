import { duckdb, type Pipeline, pipeline, type RestApiConfig, restApi } from '../../src/index.js'
import { testApi, testFolder } from './api.js'

interface ChildLists {
  /** Ids of the shops. */
  readonly shops: readonly number[]
  /** What is answered to a request for notes of a shop. A text is the answer as it is. */
  readonly notes: (shop: number, asked: URL) => object | string
  readonly keys?: object | undefined
  readonly paginator?: string | object
}

/** A pipeline of shops, and of `notes`: a list below each shop, with its records at `data`. */
export async function notesOfShops({ shops, notes, keys, paginator = 'single_page' }: ChildLists): Promise<Pipeline> {
  const { url } = await testApi(asked => {
    const shop = /\/shops\/(\d)/.exec(asked.pathname)?.[1]
    if (shop === undefined) return { json: { data: shops.map(id => ({ id })) } }
    const answer = notes(Number(shop), asked)
    return typeof answer === 'string' ? { body: answer } : { json: answer }
  })
  const path = 'shops/{resources.shops.id}/notes'
  const document = {
    client: { base_url: url },
    resources: [
      { name: 'shops', endpoint: { path: 'shops', data_selector: 'data', paginator: 'single_page' } },
      { name: 'notes', ...keys, endpoint: { path, data_selector: 'data', paginator } },
    ],
  } as unknown as RestApiConfig
  const home = await testFolder()
  const source = restApi(document, { env: {} })
  return pipeline({ name: 'test', source, destination: duckdb(`${home}/db`), home })
}
