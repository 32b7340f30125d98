import { type SqlSession, textLiteral } from '../sql/sqlSession.js'

/** Values by name. */
export type Settings = Readonly<Record<string, string>>

/** Temporary changes to the settings of an instance. */
export interface ChangedSettings {
  /** Does nothing after {@link restore}. */
  change(settings: Settings): Promise<void>
  /** Restores the earlier values. A second call does nothing. */
  restore(): Promise<void>
}

/** One statement for all: between two, the walk may run for longer than they take. */
export async function settingsOf(session: SqlSession, names: readonly string[]): Promise<Settings> {
  const values = names.map(name => `current_setting(${textLiteral(name)})::VARCHAR`)
  const [row = []] = await session.rows(`SELECT ${values.join(', ')}`)
  return Object.fromEntries(names.map((name, index) => [name, asShown(String(row[index]))]))
}

export function changedSettings(session: SqlSession, before: Settings): ChangedSettings {
  let isChanged = false
  let isOver = false
  const set = async (settings: Settings): Promise<void> => {
    const statements = Object.entries(settings).map(([name, value]) => `SET ${name} = ${textLiteral(value)}`)
    await session.run(statements.join('; '))
  }
  return {
    async change(settings) {
      if (isOver) return
      isChanged = true
      await set(settings)
    },
    async restore() {
      isOver = true
      if (!isChanged) return
      isChanged = false
      await set(before)
    },
  }
}

/**
 * DuckDB cuts an amount such as `18.8 GiB` after one digit. Setting it unchanged would lose a little with each load.
 */
export function asShown(value: string): string {
  return value.replace(/^(\d+\.\d) /, '$15 ')
}

/** An amount of memory as DuckDB shows it, such as `18.8 GiB`. Infinite for any other form. */
export function mebibytes(amount: string): number {
  const [, number, unit = ''] = /^([\d.]+) ([MGT])iB$/.exec(amount) ?? []
  return number === undefined ? Number.POSITIVE_INFINITY : Math.floor(Number(number) * 1024 ** 'MGT'.indexOf(unit))
}
