import type { ReadingModel } from '../model.js'
import type { Problems } from '../problems.js'
import type { MergedResource } from './mergeResource.js'
import { checkPath } from './readIncremental.js'

/** How the bytes of an answer become records. */
export function readingOf({ endpoint, where }: MergedResource, problems: Problems): ReadingModel {
  const { format, encoding, columns_from: columnsFrom, key_column: keyColumn, null_values: nullValues } = endpoint
  if (typeof columnsFrom === 'string') checkPath(columnsFrom, where('endpoint', 'columns_from'), problems)
  else refuseTwice(columnsFrom ?? [], where('endpoint', 'columns_from'), problems)
  if (keyColumn != null && (endpoint.data_selector ?? '') === '') {
    problems.add(
      where('endpoint', 'key_column'),
      'needs `data_selector`: the path of the map, `$` where it is the whole body',
    )
  }
  if (format != null && typeof format === 'object' && 'header' in format && Array.isArray(format.header)) {
    refuseTwice(format.header, where('endpoint', 'format', 'header'), problems)
  }
  const type = typeof format === 'string' ? format : format?.type
  if (type === 'xml' && (endpoint.data_selector ?? '') === '') {
    problems.add(
      where('endpoint', 'format'),
      'XML needs `data_selector`, which begins with the outermost element, as in `rss.channel.item`',
    )
  }
  return {
    format: format == null ? undefined : typeof format === 'string' ? { type: format } : format,
    encoding: encoding ?? undefined,
    columnsFrom: columnsFrom ?? undefined,
    keyColumn: keyColumn ?? undefined,
    nullValues: nullValues ?? undefined,
  }
}

function refuseTwice(names: readonly string[], at: ReturnType<MergedResource['where']>, problems: Problems): void {
  const twice = names.findIndex((name, index) => names.indexOf(name) !== index)
  if (twice >= 0) problems.add([...at, twice], 'is there already; each column needs a name of its own')
}
