import type { Condition, InspectedColumn, ReadQuery } from '../../model/destination.js'
import { SchemaError } from '../../model/errors.js'
import { NameMap } from './ddl.js'
import type { Dialect } from './sqlSession.js'

export interface SelectStatement<Value> {
  readonly sql: string
  readonly values: readonly Value[]
  /** Columns of the result, in order. */
  readonly columns: readonly { readonly name: string; readonly type: string }[]
}

/**
 * A query for rows as one statement. `expression` selects a column of an engine's type, `bound` binds a value. Values
 * are compared as the column's type. An unknown column is a SchemaError that lists the known ones.
 */
export function selectStatement<Value>(
  dialect: Dialect,
  table: string,
  existing: ReadonlyMap<string, InspectedColumn>,
  query: ReadQuery,
  expression: (column: string, type: string) => string,
  bound: (value: Exclude<Condition['value'], undefined | null | readonly unknown[]>) => Value,
): SelectStatement<Value> {
  const known = new NameMap(
    dialect.caseSensitive,
    [...existing].map(([name, column]) => [name, { name, type: column.type }] as const),
  )
  const columnOf = (name: string): { readonly name: string; readonly type: string } => {
    const column = known.get(name)
    if (column !== undefined) return column
    throw new SchemaError(
      'schema',
      `Table ${query.table} has no column ${name}; it has ${[...existing.keys()].join(', ')}`,
      {
        table: query.table,
        column: name,
      },
    )
  }
  const values: Value[] = []
  const parameter = (value: unknown, type: string): string => {
    values.push(bound(value as Exclude<Condition['value'], undefined | null | readonly unknown[]>))
    return `CAST($${values.length} AS ${type})`
  }
  const condition = ({ column: name, operator, value }: Condition): string => {
    const { name: column, type } = columnOf(name)
    const left = dialect.identifier(column)
    if (operator === 'is null' || operator === 'is not null') return `${left} ${operator.toUpperCase()}`
    if (operator === 'in') {
      const list = (Array.isArray(value) ? value : [value]).filter(item => item !== null && item !== undefined)
      return list.length === 0 ? '1 = 0' : `${left} IN (${list.map(item => parameter(item, type)).join(', ')})`
    }
    if (value === null || value === undefined) {
      if (operator === '=') return `${left} IS NULL`
      return operator === '!=' ? `${left} IS NOT NULL` : '1 = 0'
    }
    return `${left} ${operator} ${parameter(value, type)}`
  }
  const columns = (query.columns ?? [...existing.keys()]).map(columnOf)
  const where = (query.where ?? []).map(condition)
  const order = (query.orderBy ?? []).map(
    ({ column, descending }) => `${dialect.identifier(columnOf(column).name)}${descending === true ? ' DESC' : ''}`,
  )
  const sql = [
    `SELECT ${query.distinct === true ? 'DISTINCT ' : ''}${columns.map(({ name, type }) => expression(dialect.identifier(name), type)).join(', ')}`,
    `FROM ${table}`,
    ...(where.length === 0 ? [] : [`WHERE ${where.join(' AND ')}`]),
    ...(order.length === 0 ? [] : [`ORDER BY ${order.join(', ')}`]),
    ...(query.limit === undefined ? [] : [`LIMIT ${Math.max(0, Math.trunc(query.limit))}`]),
    ...(query.offset === undefined ? [] : [`OFFSET ${Math.max(0, Math.trunc(query.offset))}`]),
  ].join(' ')
  return { sql, values, columns }
}
