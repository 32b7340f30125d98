import type { Attributes } from '@opentelemetry/api'

/** Host and port of a URL, as OpenTelemetry's conventions name them. */
export function serverOf(url: string): Attributes {
  if (!URL.canParse(url)) return {}
  const { hostname, port, protocol } = new URL(url)
  const standard = protocol === 'https:' ? 443 : 80
  return { 'server.address': hostname, 'server.port': port === '' ? standard : Number(port) }
}
