import type { EndpointModel, Template, ValueTemplate } from '../document/model.js'

/** The numbers that a document writes into each request, with their names. One of them may be the size of a page. */
export function writtenNumbers({ params, body }: Pick<EndpointModel, 'params' | 'body'>): readonly string[] {
  const fields = body?.kind === 'form' ? [...params, ...body.fields] : params
  const ofFields = fields.flatMap(({ name, value }) => numbersIn(textOf(name), value))
  return body?.kind === 'json' ? [...ofFields, ...numbersIn('', body.value)] : ofFields
}

function numbersIn(name: string, value: ValueTemplate): readonly string[] {
  switch (value.kind) {
    case 'literal': {
      const isNumber = typeof value.value === 'number' || typeof value.value === 'bigint'
      return isNumber ? [`${name} ${value.literal ?? value.value}`] : []
    }
    case 'text': {
      const text = textOf(value.template)
      return /^\d+$/.test(text) ? [`${name} ${text}`] : []
    }
    case 'list':
      return value.items.flatMap(item => numbersIn(name, item))
    case 'object':
      return value.entries.flatMap(({ key, value: inner }) => numbersIn(textOf(key), inner))
  }
}

/** With `{}` for each placeholder. */
function textOf(template: Template): string {
  return template.map(part => (typeof part === 'string' ? part : '{}')).join('')
}
