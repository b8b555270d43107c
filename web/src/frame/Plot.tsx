import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import { colour, shade } from './theme';

export interface Line {
  label: string;
  colour: string; // by role, as in base.css
  dash?: number[];
  fill?: boolean;
}

interface Props {
  label: string; // for those who do not see it
  data: uPlot.AlignedData;
  lines: Line[];
  height: number;
  x: { scale?: Partial<uPlot.Scale>; text: (value: number) => string; splits?: uPlot.Axis.Splits };
  y: { scale?: Partial<uPlot.Scale>; text: (value: number) => string; size?: number };
  mark?: number; // an upright line at this x
}

function axis(text: (value: number) => string, more: uPlot.Axis): uPlot.Axis {
  const soft = colour('soft');
  const line = colour('line');
  return {
    stroke: soft,
    font: '12px system-ui, sans-serif',
    grid: { stroke: line, width: 1 },
    ticks: { show: false },
    values: (_, values) => values.map((value) => (value === null ? '' : text(value))),
    ...more,
  };
}

function drawMark(plot: uPlot, at: number | undefined) {
  if (at === undefined) return;
  const { ctx, bbox } = plot;
  const x = Math.round(plot.valToPos(at, 'x', true));
  ctx.save();
  ctx.strokeStyle = colour('soft');
  ctx.setLineDash([4, 4]);
  ctx.beginPath();
  ctx.moveTo(x, bbox.top);
  ctx.lineTo(x, bbox.top + bbox.height);
  ctx.stroke();
  ctx.restore();
}

function tinted(role: string, alpha: number): string {
  return colour(role).replace(/^rgb\((.*)\)$/, `rgba($1, ${alpha})`);
}

// Lines over a common x, as wide as there is room.
export function Plot({ label, data, lines, height, x, y, mark }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const marked = useRef(mark);
  marked.current = mark;
  useEffect(() => {
    const element = place.current!;
    const made = new uPlot(
      {
        width: element.clientWidth,
        height,
        legend: { show: false },
        cursor: { show: false },
        padding: [10, 14, 0, 0],
        scales: { x: { time: false, ...x.scale }, y: y.scale ?? {} },
        axes: [axis(x.text, { size: 30, ...(x.splits ? { splits: x.splits } : {}) }), axis(y.text, { size: y.size ?? 64 })],
        series: [
          {},
          ...lines.map(({ label, colour: role, dash, fill }) => ({
            label,
            stroke: colour(role),
            width: 2,
            points: { show: false },
            ...(dash ? { dash } : {}),
            ...(fill ? { fill: tinted(role, 0.12) } : {}),
          })),
        ],
        hooks: { draw: [(self) => drawMark(self, marked.current)] },
      },
      data,
      element,
    );
    plot.current = made;
    const watch = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height }));
    watch.observe(element);
    return () => {
      watch.disconnect();
      made.destroy();
    };
  }, [shade.value]);
  useEffect(() => plot.current?.setData(data), [data, mark]);
  return <div class="plot" ref={place} role="img" aria-label={label} />;
}

export function Legend({ lines }: { lines: Line[] }) {
  return (
    <ul class="legend">
      {lines.map(({ label, colour: role, dash }) => (
        <li key={label}>
          <i class={`swatch line ${role} ${dash ? 'dashed' : ''}`} /> {label}
        </li>
      ))}
    </ul>
  );
}
