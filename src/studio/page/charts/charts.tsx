import { useEffect, useRef } from 'preact/hooks'
import uPlot from 'uplot'
import type { LoadFacts } from '../../pageContract.js'
import { amountTicks, timeTicks } from './chartTicks.js'

interface SparklineProps {
  readonly label: string
  readonly values: readonly number[]
}

/** One bar a value. */
export function Sparkline({ label, values }: SparklineProps) {
  const most = Math.max(1, ...values)
  const width = 100 / Math.max(values.length, 8)
  return (
    <svg class="spark" role="img" aria-label={label} viewBox="0 0 100 24" preserveAspectRatio="none">
      {values.map((value, index) => {
        const height = Math.max(1, (value / most) * 23)
        return <rect key={index} x={index * width} y={24 - height} width={width * 0.8} height={height} />
      })}
    </svg>
  )
}

/** Rows and duration of loads over time. */
export function LoadsChart({ loads }: { readonly loads: readonly LoadFacts[] }) {
  const place = useRef<HTMLDivElement>(null)
  useEffect(() => {
    const holder = place.current
    if (holder === null || loads.length < 2) return
    const inOrder = [...loads].reverse()
    const colour = (name: string) => colourOf(holder, name)
    const axis = { stroke: colour('--quiet'), grid: { stroke: colour('--line'), width: 1 }, ticks: { show: false } }
    const plot = new uPlot(
      {
        width: holder.clientWidth,
        height: 200,
        legend: { show: true },
        cursor: { drag: { x: false, y: false } },
        scales: { x: { time: true }, y: { range: FROM_ZERO }, seconds: { range: FROM_ZERO } },
        axes: [
          { ...axis, space: 90, values: (_, ticks, __, ___, stepS) => timeTicks(ticks, stepS) },
          { ...axis, size: 70, values: (_, ticks) => amountTicks(ticks, { areWhole: true }) },
          {
            ...axis,
            scale: 'seconds',
            side: 1,
            grid: { show: false },
            size: 66,
            values: (_, ticks) => amountTicks(ticks, { unit: ' s' }),
          },
        ],
        series: [
          { value: '{YYYY}-{MM}-{DD} {HH}:{mm}:{ss}' },
          { label: 'rows', stroke: colour('--accent'), width: 2, points: { show: true } },
          { label: 'seconds', scale: 'seconds', stroke: colour('--second'), width: 1.5, dash: [4, 3] },
        ],
      },
      [
        inOrder.map(({ committedAt }) => Date.parse(committedAt) / 1_000),
        inOrder.map(({ rows }) => rows),
        inOrder.map(({ durationMs }) => (durationMs === undefined ? null : durationMs / 1_000)),
      ],
      holder,
    )
    const resized = new ResizeObserver(() => plot.setSize({ width: holder.clientWidth, height: 200 }))
    resized.observe(holder)
    return () => {
      resized.disconnect()
      plot.destroy()
    }
  }, [loads])
  return <div ref={place} class="chart" role="img" aria-label="Rows and seconds of the loads, over time" />
}

/** Heights are compared, so an axis begins at 0. */
const FROM_ZERO = (_: uPlot, __: number | null, most: number | null): [number, number] => [0, Math.max(1, most ?? 0)]

/** A colour of the style sheet as a canvas takes it: resolved for light or dark. */
function colourOf(place: HTMLElement, name: string): string {
  const probe = document.createElement('span')
  probe.style.color = `var(${name})`
  place.append(probe)
  const { color } = getComputedStyle(probe)
  probe.remove()
  return color
}
