import type { TableFacts, TableList, VersionList } from '../pageContract.js'
import { Ago, useApi, When } from './parts.js'

/** The tables with their parents and keys, and what each version of the schema changed. */
export function SchemaView({ id }: { readonly id: string }) {
  const list = useApi<TableList>(`pipelines/${id}/tables`)
  const versions = useApi<VersionList>(`pipelines/${id}/versions`)
  return (
    <>
      <h2>Tables</h2>
      <When of={list}>
        {({ tables }) => {
          const own = tables.filter(({ isSystem }) => !isSystem)
          return own.length === 0 ? <p class="quiet">There is no table yet.</p> : <Diagram tables={own} />
        }}
      </When>
      <h2>Versions</h2>
      <When of={versions}>
        {({ versions }) => (
          <ol class="versions">
            {versions.map(({ version, storedAt, changes }) => (
              <li key={`${version} ${storedAt}`} class="card">
                <h3>
                  Version {version}, <Ago time={storedAt} />
                </h3>
                {changes.length === 0 ? (
                  <p class="quiet">No table or column changed.</p>
                ) : (
                  <ul class="changes">
                    {changes.map(change => (
                      <li key={change}>{change}</li>
                    ))}
                  </ul>
                )}
              </li>
            ))}
          </ol>
        )}
      </When>
    </>
  )
}

const WIDTH = 230
const GAP = 60
const LINE = 17
const MOST_LINES = 14

interface Box {
  readonly table: TableFacts
  readonly x: number
  readonly y: number
  readonly height: number
}

/** Parents on the left, the tables nested in them to the right. */
function Diagram({ tables }: { readonly tables: readonly TableFacts[] }) {
  const boxes = placed(tables)
  const width = Math.max(...boxes.map(({ x }) => x + WIDTH)) + 2
  const height = Math.max(...boxes.map(box => box.y + box.height)) + 2
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: whoever has no mouse scrolls it by keys
    <section class="scroll" aria-label="Diagram of the tables" tabIndex={0}>
      <svg class="diagram" width={width} height={height} role="img" aria-label={described(tables)}>
        {boxes.map(({ table, x, y }) => {
          const parent = boxes.find(box => box.table.name === table.parent)
          if (parent === undefined) return null
          const [fromX, fromY, toY] = [parent.x + WIDTH, parent.y + 14, y + 14]
          const middle = fromX + GAP / 2
          return <path key={table.name} d={`M${fromX},${fromY} C${middle},${fromY} ${middle},${toY} ${x},${toY}`} />
        })}
        {boxes.map(({ table, x, y, height }) => (
          <g key={table.name} transform={`translate(${x},${y})`}>
            <rect width={WIDTH} height={height} rx="6" />
            <rect class="head" width={WIDTH} height="26" rx="6" />
            <text class="title" x="10" y="18">
              {shortened(table.name, 30)}
              <title>{table.name}</title>
            </text>
            {shownColumns(table).map((column, index) => (
              <text key={column.name} x="10" y={44 + index * LINE} class={column.isOwn ? 'own' : undefined}>
                {column.isKey ? '● ' : ''}
                {shortened(column.name, 20)}
                <tspan x={WIDTH - 10} text-anchor="end" class="own">
                  {column.type}
                  {column.nullable ? '' : ' !'}
                </tspan>
              </text>
            ))}
            {table.columns.length > MOST_LINES && (
              <text x="10" y={44 + MOST_LINES * LINE} class="own">
                and {table.columns.length - MOST_LINES} more
              </text>
            )}
          </g>
        ))}
      </svg>
      <p class="quiet">● primary key, ! never NULL</p>
    </section>
  )
}

function shownColumns({ columns }: TableFacts) {
  return [...columns].sort((left, right) => Number(left.isOwn) - Number(right.isOwn)).slice(0, MOST_LINES)
}

/** A tree of tables is drawn as one: each below the one before it, a level to the right of its parent. */
function placed(tables: readonly TableFacts[]): readonly Box[] {
  const names = new Set(tables.map(({ name }) => name))
  const below = new Map<number, number>()
  const boxes: Box[] = []
  const place = (table: TableFacts, level: number, from: number): void => {
    const height = 36 + Math.min(table.columns.length, MOST_LINES + 1) * LINE
    const y = Math.max(below.get(level) ?? 0, from)
    below.set(level, y + height + 20)
    boxes.push({ table, x: level * (WIDTH + GAP), y, height })
    for (const child of tables) if (child.parent === table.name) place(child, level + 1, y)
  }
  for (const table of tables) if (table.parent === undefined || !names.has(table.parent)) place(table, 0, 0)
  return boxes
}

function described(tables: readonly TableFacts[]): string {
  return tables
    .map(
      ({ name, parent, columns }) =>
        `${name}${parent === undefined ? '' : `, nested in ${parent}`}, ${columns.length} columns`,
    )
    .join('; ')
}

function shortened(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`
}
