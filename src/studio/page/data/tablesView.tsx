import { useEffect, useRef, useState } from 'preact/hooks'
import type {
  Cell,
  Distribution,
  FilterOperator,
  ListedColumn,
  RowFilter,
  RowsAsked,
  RowsGiven,
  TableCount,
  TableFacts,
  TableList,
} from '../../pageContract.js'
import { FARTHEST_SORTED_ROW, FILTER_OPERATORS } from '../../pageContract.js'
import { api, pathOf, queryOf } from '../apiClient.js'
import { amount, CellText, counted, DownloadButtons, Grid, Problem, useApi, When } from '../parts.js'
import { beyondRow } from './beyondRow.js'
import { RowTraceView } from './rowTrace.js'
import { SqlConsole } from './sqlConsole.js'

interface TablesViewProps {
  readonly id: string
  readonly table: string | undefined
  /** Column and value that rows must have, as the link of a parent row says. */
  readonly filter: readonly string[]
}

/** In an address, where the name of a table stands. */
const SQL = '*sql'

export function TablesView({ id, table, filter }: TablesViewProps) {
  const list = useApi<TableList>(`pipelines/${id}/tables`)
  return (
    <When of={list}>
      {({ tables }) => {
        if (tables.length === 0) return <p>There is no table yet. The view Run starts a load.</p>
        const own = tables.filter(({ isSystem }) => !isSystem)
        const shown = table === SQL ? undefined : (tables.find(({ name }) => name === table) ?? own[0])
        return (
          <div class="split">
            <TableMenu id={id} tables={tables} shown={shown?.name} />
            <div>
              {shown === undefined ? (
                <SqlConsole id={id} tables={own} />
              ) : (
                <TableView
                  key={`${shown.name} ${filter.join(' ')}`}
                  id={id}
                  table={shown}
                  tables={own}
                  filter={filter}
                />
              )}
            </div>
          </div>
        )
      }}
    </When>
  )
}

interface TableMenuProps {
  readonly id: string
  readonly tables: readonly TableFacts[]
  readonly shown: string | undefined
}

function TableMenu({ id, tables, shown }: TableMenuProps) {
  const link = ({ name, parent }: TableFacts) => (
    <li key={name} class={parent === undefined ? undefined : 'nested'}>
      <a href={`#/p/${id}/data/${encodeURIComponent(name)}`} aria-current={name === shown ? 'page' : undefined}>
        <span>{name}</span> <RowCount id={id} table={name} />
      </a>
    </li>
  )
  return (
    <nav class="menu" aria-label="Tables">
      <a class="button" href={`#/p/${id}/data/${SQL}`} aria-current={shown === undefined ? 'page' : undefined}>
        Ask in SQL
      </a>
      <ul>{tables.filter(({ isSystem }) => !isSystem).map(link)}</ul>
      <details>
        <summary>Tables of Sluice and dlt</summary>
        <ul>{tables.filter(({ isSystem }) => isSystem).map(link)}</ul>
      </details>
    </nav>
  )
}

function RowCount({ id, table }: { readonly id: string; readonly table: string }) {
  const count = useApi<TableCount>(`pipelines/${id}/count?${queryOf({ table })}`)
  if (count.state === 'failed') return null
  if (count.state !== 'there') return <small>…</small>
  return <small>{count.answer.rows === undefined ? 'many' : amount(count.answer.rows)}</small>
}

interface TableViewProps {
  readonly id: string
  readonly table: TableFacts
  readonly tables: readonly TableFacts[]
  readonly filter: readonly string[]
}

/** One less than what DuckDB sorts without reading every column of every row. */
const PAGE_ROWS = 49

function TableView({ id, table, tables, filter: [column, value] }: TableViewProps) {
  const [filters, setFilters] = useState<readonly RowFilter[]>(
    column === undefined || value === undefined ? [] : [{ column, operator: '=', value }],
  )
  const [sorted, setSorted] = useState<{ column: string; descending: boolean }>()
  const [offset, setOffset] = useState(0)
  const [looked, setLooked] = useState<string>()
  const [traced, setTraced] = useState<Cell>(null)
  const opener = useRef<HTMLButtonElement>(null)
  const asked: RowsAsked = {
    table: table.name,
    filters,
    offset,
    limit: PAGE_ROWS,
    ...(sorted !== undefined && { orderBy: sorted.column, descending: sorted.descending }),
  }
  const rows = useApi<RowsGiven>(`pipelines/${id}/rows`, 0, asked)
  const children = tables.filter(({ parent }) => parent === table.name)
  const sort = (name: string) => {
    setOffset(0)
    setSorted(
      sorted?.column === name && !sorted.descending
        ? { column: name, descending: true }
        : { column: name, descending: false },
    )
  }
  const filterBy = (next: readonly RowFilter[]) => {
    setOffset(0)
    setFilters(next)
  }
  const goTo = (input: HTMLInputElement) => {
    if (input.reportValidity() && input.value !== '') setOffset(Number(input.value) - 1)
  }
  return (
    <>
      <h2>{table.name}</h2>
      <p class="quiet">
        {table.resource !== undefined && <>of the resource {table.resource}, </>}
        {table.parent !== undefined && <>nested in {table.parent}, </>}
        {table.columns.length} columns
      </p>
      <Filters columns={table.columns} filters={filters} onChange={filterBy} />
      <When of={rows}>
        {({ columns, rows, isCut }, isOld) => {
          const idAt = columns.findIndex(({ name }) => name === '_dlt_id')
          const lead =
            idAt === -1 || table.isSystem
              ? undefined
              : (row: readonly Cell[]) => {
                  const rowId = row[idAt] ?? null
                  return (
                    <>
                      <button
                        type="button"
                        class="link"
                        aria-label={`trace row ${rowId}`}
                        aria-expanded={traced === rowId}
                        onClick={event => {
                          opener.current = event.currentTarget
                          setTraced(traced === rowId ? null : rowId)
                        }}
                      >
                        trace
                      </button>
                      <NestedLinks id={id} parent={table.name} tables={children} rowId={rowId} />
                    </>
                  )
                }
          const tracedRow = rows.find(row => traced !== null && row[idAt] === traced)
          // Whether there is a further page is known when the page is there. A disabled button would lose the focus.
          const turn = (to: number) => {
            if (!isOld) setOffset(to)
          }
          const isFarthest = sorted !== undefined && offset + PAGE_ROWS > FARTHEST_SORTED_ROW
          const beyond = isCut && isFarthest && !isOld ? beyondRow(sorted, filters, { columns, rows }) : undefined
          return (
            <>
              <Grid
                label={`Rows of ${table.name}`}
                columns={columns}
                rows={rows}
                sorted={sorted}
                onSort={sort}
                lead={lead}
              />
              {traced !== null && (
                <RowTraceView
                  key={traced}
                  id={id}
                  table={table.name}
                  rowId={String(traced)}
                  onClose={() => {
                    setTraced(null)
                    opener.current?.focus()
                  }}
                >
                  {tracedRow !== undefined && <WholeRow columns={columns} row={tracedRow} />}
                </RowTraceView>
              )}
              <div class="bar">
                <button type="button" disabled={offset === 0} onClick={() => turn(Math.max(0, offset - PAGE_ROWS))}>
                  Previous
                </button>
                <span role="status">{isOld ? 'Loading…' : shownRows(offset, rows.length)}</span>
                <button type="button" disabled={!isCut || isFarthest} onClick={() => turn(offset + PAGE_ROWS)}>
                  Next
                </button>
                <label>
                  From row{' '}
                  <input
                    type="number"
                    min="1"
                    max={sorted === undefined ? undefined : FARTHEST_SORTED_ROW + 1}
                    value={offset + 1}
                    onChange={event => goTo(event.currentTarget)}
                  />
                </label>
                {isCut && isFarthest && (
                  <span>
                    Sorted rows are counted up to {amount(FARTHEST_SORTED_ROW)}.{' '}
                    {beyond === undefined ? 'Filter them, sort the other way, or ask in SQL.' : ''}
                  </span>
                )}
                {beyond !== undefined && (
                  <button type="button" onClick={() => filterBy(beyond)}>
                    Go on from the last value
                  </button>
                )}
                <DownloadButtons id={id} sql={`SELECT * FROM "${table.name.replaceAll('"', '""')}"`} what="the table" />
              </div>
            </>
          )
        }}
      </When>
      <h3>Columns</h3>
      <div class="scroll">
        <table>
          <thead>
            <tr>
              <th scope="col">column</th>
              <th scope="col">type</th>
              <th scope="col">nulls</th>
              <th scope="col">values</th>
            </tr>
          </thead>
          <tbody>
            {table.columns.map(one => [
              <tr key={one.name}>
                <td>
                  {one.name} {one.isKey && <span class="badge">key</span>}
                  {one.description !== undefined && <div class="quiet">{one.description}</div>}
                </td>
                <td>{one.type}</td>
                <td>{one.nullable ? 'allowed' : 'refused'}</td>
                <td>
                  <button
                    type="button"
                    aria-expanded={looked === one.name}
                    aria-label={`Values of ${one.name}`}
                    onClick={() => setLooked(looked === one.name ? undefined : one.name)}
                  >
                    Values
                  </button>
                </td>
              </tr>,
              looked === one.name && (
                <tr key={`${one.name} values`}>
                  <td colSpan={4}>
                    <Values id={id} table={table.name} column={one.name} />
                  </td>
                </tr>
              ),
            ])}
          </tbody>
        </table>
      </div>
    </>
  )
}

function shownRows(offset: number, count: number): string {
  return count === 0 ? 'no rows' : `rows ${amount(offset + 1)} to ${amount(offset + count)}`
}

interface WholeRowProps {
  readonly columns: RowsGiven['columns']
  readonly row: readonly Cell[]
}

/** A row with its texts as they are, where the table cuts them. */
function WholeRow({ columns, row }: WholeRowProps) {
  return (
    <details>
      <summary>All of its values</summary>
      <dl class="whole">
        {columns.map(({ name }, at) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd dir="auto">{row[at] === null ? <span class="null">NULL</span> : String(row[at])}</dd>
          </div>
        ))}
      </dl>
    </details>
  )
}

interface NestedLinksProps {
  readonly id: string
  readonly parent: string
  readonly tables: readonly TableFacts[]
  readonly rowId: Cell
}

/** From a row to its rows in the nested tables. */
function NestedLinks({ id, parent, tables, rowId }: NestedLinksProps) {
  return (
    <>
      {tables.map(({ name, columns }) => {
        const key = columns.find(column => column.name === '_dlt_parent_id')?.name
        if (key === undefined || rowId === null) return null
        return (
          <a key={name} href={`#/p/${id}/data/${pathOf(name, key, String(rowId))}`}>
            {name.startsWith(`${parent}__`) ? name.slice(parent.length + 2) : name}
          </a>
        )
      })}
    </>
  )
}

interface FiltersProps {
  readonly columns: readonly ListedColumn[]
  readonly filters: readonly RowFilter[]
  readonly onChange: (filters: readonly RowFilter[]) => void
}

function Filters({ columns, filters, onChange }: FiltersProps) {
  const [column, setColumn] = useState(columns[0]?.name ?? '')
  const [operator, setOperator] = useState<FilterOperator>('=')
  const [value, setValue] = useState('')
  const needsValue = !operator.startsWith('is')
  return (
    <form
      class="bar"
      onSubmit={event => {
        event.preventDefault()
        onChange([...filters, { column, operator, ...(needsValue && { value }) }])
        setValue('')
      }}
    >
      <label>
        <span class="label">Column</span>
        <select value={column} onChange={event => setColumn(event.currentTarget.value)}>
          {columns.map(({ name }) => (
            <option key={name}>{name}</option>
          ))}
        </select>
      </label>
      <label>
        <span class="label">Compare</span>
        <select value={operator} onChange={event => setOperator(event.currentTarget.value as FilterOperator)}>
          {FILTER_OPERATORS.map(one => (
            <option key={one}>{one}</option>
          ))}
        </select>
      </label>
      {needsValue && (
        <label>
          <span class="label">Value</span>
          <input value={value} onInput={event => setValue(event.currentTarget.value)} />
        </label>
      )}
      <button type="submit">Filter</button>
      {filters.map(filter => (
        <button
          key={`${filter.column}${filter.operator}${filter.value}`}
          type="button"
          class="chip"
          onClick={() => onChange(filters.filter(one => one !== filter))}
          aria-label={`Remove the filter on ${filter.column}`}
        >
          {filter.column} {filter.operator} {filter.value} ✕
        </button>
      ))}
    </form>
  )
}

interface ValuesProps {
  readonly id: string
  readonly table: string
  readonly column: string
}

/** What values a column has. */
function Values({ id, table, column }: ValuesProps) {
  const [found, setFound] = useState<Distribution | Error>()
  useEffect(() => {
    const stop = new AbortController()
    api<Distribution>(`pipelines/${id}/distribution?${queryOf({ table, column })}`, { signal: stop.signal }).then(
      setFound,
      (error: Error) => stop.signal.aborted || setFound(error),
    )
    return () => stop.abort()
  }, [id, table, column])
  if (found === undefined) return <p class="quiet">Looking…</p>
  if (found instanceof Error) return <Problem message={found.message} />
  const { rows, isSample, nulls, distinct, least, greatest, top, histogram } = found
  const most = Math.max(1, ...histogram.map(bin => bin.rows))
  const share = rows === 0 ? 0 : (nulls / rows) * 100
  return (
    <div class="values">
      <p>
        {isSample ? `Of the first ${counted(rows, 'row')}: ` : `${counted(rows, 'row')}: `}
        {amount(distinct)} distinct, {share.toFixed(share > 0 && share < 1 ? 2 : 0)} % NULL, from{' '}
        <CellText value={least} /> to <CellText value={greatest} />
      </p>
      {histogram.length > 1 && (
        <svg
          class="histogram"
          role="img"
          aria-label={`Histogram of ${column}`}
          viewBox={`0 0 ${histogram.length * 10} 60`}
        >
          {histogram.map((bin, index) => (
            <rect
              key={String(bin.from)}
              x={index * 10}
              y={60 - (bin.rows / most) * 58}
              width="9"
              height={(bin.rows / most) * 58}
            >
              <title>{`${bin.from} to ${bin.to}: ${counted(bin.rows, 'row')}`}</title>
            </rect>
          ))}
        </svg>
      )}
      <ol class="top-values">
        {top.map(({ value, rows: count }) => (
          <li key={String(value)}>
            <CellText value={value} /> <small>{amount(count)}</small>
          </li>
        ))}
      </ol>
    </div>
  )
}
