/** Examples of `docs/config.md`, by the heading of their section. The tests check each as a part of a pipeline file. */
export const configExamples: Readonly<Record<string, string>> = {
  'Pipeline file': `name: shop
destination: duckdb:shop.duckdb
dataset: shop_data
client: { base_url: https://api.example.com }
resources: [orders]`,
  source: `name: shop
source:
  name: rest_api
  max_table_nesting: 2
  client: { base_url: https://api.example.com }
  resources: [orders]`,
  notify: `notify:
  - { on: failure, command: [./page-me.sh, orders] }
  - webhook: https://hooks.example.com/sluice
    secret: "\${secrets.notify_key}"
    late_after: PT2H`,
  schema_contract: 'schema_contract: { tables: evolve, columns: freeze, data_type: discard_value }',
  client: `client:
  base_url: https://api.example.com/v1/
  headers: { Accept: application/json }
  auth: { type: bearer, token: "\${secrets.token}" }
  paginator: { type: offset, limit: 100 }
  allowed_hosts: [files.example.com]
  retry: { attempts: 6 }
  rate_limit: { requests: 10, per: 1 }`,
  bearer: 'auth: { type: bearer, token: "${secrets.token}" }',
  api_key: 'auth: { type: api_key, name: X-API-Key, api_key: "${secrets.api_key}" }',
  http_basic: 'auth: { type: http_basic, username: ann, password: "${secrets.password}" }',
  oauth2_client_credentials: `auth:
  type: oauth2_client_credentials
  access_token_url: https://auth.example.com/oauth/token
  client_id: "\${secrets.client_id}"
  client_secret: "\${secrets.client_secret}"`,
  oauth2_jwt: `auth:
  type: oauth2_jwt
  client_id: loader@example.com
  private_key: "\${secrets.private_key}"
  auth_endpoint: https://auth.example.com/token
  scopes: read`,
  auto: 'paginator: auto',
  single_page: 'paginator: single_page',
  json_link: 'paginator: { type: json_link, next_url_path: links.next }',
  header_link: 'paginator: header_link',
  cursor: 'paginator: { type: cursor, cursor_path: meta.next_cursor, cursor_param: cursor }',
  header_cursor: 'paginator: { type: header_cursor, cursor_key: X-Next-Cursor, cursor_param: cursor }',
  keyset: 'paginator: { type: keyset, field: id, param: since_id, limit: 100 }',
  page_number: 'paginator: { type: page_number, base_page: 1, total_path: meta.pages }',
  offset: 'paginator: { type: offset, limit: 100, total_path: meta.total }',
  'resources[]': `client: { base_url: https://api.example.com }
resources:
  - customers
  - name: orders
    primary_key: id
    write_disposition: merge
    include_from_parent: [id]
    endpoint: "customers/{resources.customers.id}/orders"`,
  endpoint: `client: { base_url: https://api.example.com }
resources:
  - name: orders
    endpoint:
      path: v1/orders
      params: { status: open }
      data_selector: data.orders
      response_actions: [{ status_code: 404, action: ignore }]`,
  'endpoint.incremental':
    'incremental: { cursor_path: updated_at, initial_value: "2024-01-01T00:00:00Z", start_param: since }',
  'resource.write_disposition': 'write_disposition: { disposition: merge, strategy: upsert }',
  'Column hints': `client: { base_url: https://api.example.com }
resources:
  - name: payments
    columns: { amount: { data_type: decimal, precision: 12, scale: 2 }, paid_at: { data_type: timestamp } }`,
  'Nested hints': `client: { base_url: https://api.example.com }
resources:
  - name: orders
    nested_hints: { lines: { columns: { price: { data_type: decimal } } } }`,
  resource_defaults: `client: { base_url: https://api.example.com }
resource_defaults: { primary_key: id, write_disposition: merge, endpoint: { params: { per_page: 100 } } }
resources: [customers, orders]`,
}
