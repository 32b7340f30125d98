import { Cron } from 'croner'

/**
 * When a schedule is due next, in milliseconds since the epoch. Undefined if never. `CRON_TZ=Europe/Berlin 0 6 * * *`
 * names a time zone; without one, it is UTC. Throws if it is no schedule.
 */
export function nextTime(schedule: string, now: number): number | undefined {
  const [, timezone = 'UTC', pattern = ''] = /^(?:CRON_TZ=(\S+)\s+)?(.*)$/s.exec(schedule.trim()) ?? []
  if (/^\d{4}-/.test(pattern)) throw new RangeError('it is a date')
  // With a sixth field, a schedule would be due each second.
  return new Cron(pattern, { timezone, paused: true, mode: '5-part' }).nextRun(new Date(now))?.getTime()
}
