import type { SchemaDrift, TableFacts, TableList, VersionList } from '../../pageContract.js'
import { Ago, amount, counted, Scrolled, useApi, When } from '../parts.js'

/** The tables with their parents, keys and contracts, what drifted, and what each version of the schema changed. */
export function SchemaView({ id }: { readonly id: string }) {
  const list = useApi<TableList>(`pipelines/${id}/tables`)
  const drift = useApi<SchemaDrift>(`pipelines/${id}/drift`)
  const versions = useApi<VersionList>(`pipelines/${id}/versions`)
  return (
    <>
      <h2>Tables</h2>
      <When of={list}>
        {({ tables }) => {
          const own = tables.filter(({ isSystem }) => !isSystem)
          return own.length === 0 ? (
            <p class="quiet">There is no table yet. The view Run starts a load.</p>
          ) : (
            <>
              <Diagram tables={own} />
              <h2>Contracts</h2>
              <Contracts tables={own} />
            </>
          )
        }}
      </When>
      <h2>Drift</h2>
      <When of={drift}>{found => <Drift drift={found} />}</When>
      <h2>Versions</h2>
      <When of={versions}>
        {({ versions }) => (
          <ol class="versions">
            {versions.length === 0 && <li class="quiet">None is stored yet.</li>}
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

/** What the contract of a table does with what it does not know. Nested tables have that of their parent. */
function Contracts({ tables }: { readonly tables: readonly TableFacts[] }) {
  const isOpen = ({ contract }: TableFacts) => Object.values(contract).every(mode => mode === 'evolve')
  const strict = tables.filter(table => !isOpen(table))
  if (strict.length === 0)
    return <p class="quiet">Every table evolves: new tables, columns and types are added as they come.</p>
  return (
    <Scrolled label="Contracts">
      <table>
        <thead>
          <tr>
            {['table', 'new tables', 'new columns', 'other types'].map(title => (
              <th key={title} scope="col">
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {strict.map(({ name, contract }) => (
            <tr key={name}>
              <td>{name}</td>
              <td>{contract.tables}</td>
              <td>{contract.columns}</td>
              <td>{contract.data_type}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {strict.length < tables.length && (
        <p class="quiet">{amount(tables.length - strict.length)} other tables evolve.</p>
      )}
    </Scrolled>
  )
}

/** Against the lock, and what the contract kept out. */
function Drift({ drift: { sinceLock, refused } }: { readonly drift: SchemaDrift }) {
  return (
    <>
      {sinceLock === undefined && (
        <p class="quiet">
          There is no lock to compare with: <code>sluice schema lock</code> writes one. <code>sluice drift</code>{' '}
          compares the API with a recording.
        </p>
      )}
      {sinceLock?.length === 0 && <p>The tables are as the lock says.</p>}
      {sinceLock !== undefined && sinceLock.length > 0 && (
        <>
          <p>Since the lock of the schema:</p>
          <ul class="changes">
            {sinceLock.map(change => (
              <li key={change}>{change}</li>
            ))}
          </ul>
        </>
      )}
      {refused.length > 0 && (
        <ul class="changes">
          {refused.map(({ loadId, committedAt, resource, rows, values }) => (
            <li key={`${loadId} ${resource}`}>
              {resource}: the contract refused {counted(rows, 'row')} and {counted(values, 'value')},{' '}
              <Ago time={committedAt} />
            </li>
          ))}
        </ul>
      )}
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
    <Scrolled label="Diagram of the tables">
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
    </Scrolled>
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
        `${name}${parent === undefined ? '' : `, nested in ${parent}`}, ${counted(columns.length, 'column')}`,
    )
    .join('; ')
}

function shortened(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`
}
