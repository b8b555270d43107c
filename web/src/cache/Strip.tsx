import { useSignal } from '@preact/signals';
import { useMemo } from 'preact/hooks';
import { count } from '../frame/quantity';
import { type CacheMap, isNarrow, type Path, type Span, textAt } from './map';

const gap = 0.08; // of a row, above and below
const wholeHeight = 1 - 2 * gap;
const narrowHeight = 0.46; // quantized
const newestTop = 0.58; // below what is quantized
const readHeight = 0.3; // where a layer reads another's keys and values

function shade(holders: number, keepers: number) {
  const users = holders + keepers;
  return users <= 1 ? 1 : users <= 3 ? 2 : 3;
}

// A state is of one position: wide enough to be seen.
function shown([begin, end]: Span, kind: string, tokens: number): [number, number] {
  if (kind !== 'state') return [begin, end];
  const width = Math.max(1, tokens / 120);
  return [Math.max(0, end - width), end];
}

// One drawing per group and shade, of all layers of the group.
function drawings(map: CacheMap, path: Path): { name: string; lines: string }[] {
  const lines = new Map<string, string>();
  map.layers.forEach(({ groups, own }, layer) => {
    for (const group of groups) {
      const { kind, codec } = map.groups[group]!;
      const top = layer + (kind === 'newest' ? newestTop : gap);
      const height = !own ? readHeight : kind === 'newest' ? 1 - gap - newestTop : isNarrow(codec) ? narrowHeight : wholeHeight;
      for (const span of path.groups[group] ?? []) {
        const [begin, end] = shown(span, kind, path.tokens);
        const name = `${kind} s${shade(span[2], span[3])}`;
        lines.set(name, `${lines.get(name) ?? ''}M${begin} ${top}H${end}v${height}H${begin}z`);
      }
    }
  });
  return [...lines].map(([name, lines]) => ({ name, lines }));
}

function backdrop(rows: number, tokens: number) {
  return Array.from({ length: rows }, (_, row) => `M0 ${row + gap}H${tokens}v${wholeHeight}H0z`).join('');
}

// Steps of 1, 2 or 5 times a power of ten.
function ticks(tokens: number): number[] {
  let step = 1;
  while (step * 5 < tokens) step *= /^1/.test(String(step)) ? 2 : /^2/.test(String(step)) ? 2.5 : 2;
  const all = [];
  for (let at = 0; at < tokens - step / 3; at += step) all.push(at);
  return [...all, tokens];
}

function Marks({ path }: { path: Path }) {
  const left = (position: number) => ({ left: `${(100 * Math.min(position, path.tokens)) / path.tokens}%` });
  return (
    <div class="marks" aria-hidden="true">
      {path.boundaries.map(({ position, kind, continuable, wanted }) => (
        <i
          key={`b${position}`}
          class={`boundary ${continuable ? '' : 'hollow'}`}
          style={left(position)}
          title={`${kind} at ${count(position)}${continuable ? '' : ', its windows were dropped'}, wanted ${wanted.toFixed(1)} times`}
        />
      ))}
      {path.losses.map(({ position, window_only, expired }) => (
        <b key={`l${position}`} class="loss" style={left(position)} title={`${window_only ? 'window' : 'what followed'} at ${count(position)} ${expired ? 'has expired' : 'was dropped for budget'}`}>
          ×
        </b>
      ))}
    </div>
  );
}

function rowHeight(rows: number) {
  return rows <= 24 ? 9 : rows <= 48 ? 6 : 4;
}

interface Props {
  map: CacheMap;
  path: Path;
  title: string;
}

// Layers by positions. A pointer or the arrow keys ask what lies where.
export function Strip({ map, path, title }: Props) {
  const asked = useSignal<number | null>(null);
  const drawn = useMemo(() => drawings(map, path), [map, path]);
  const rows = map.layers.length;
  const continues = path.boundaries.filter((boundary) => boundary.continuable).map((boundary) => boundary.position);
  const position = asked.value === null ? null : Math.min(asked.value, path.tokens - 1);
  const onPointerMove = (event: PointerEvent & { currentTarget: SVGSVGElement }) => {
    const { left, width } = event.currentTarget.getBoundingClientRect();
    asked.value = Math.min(path.tokens - 1, Math.max(0, Math.floor(((event.clientX - left) / width) * path.tokens)));
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const step = event.shiftKey ? Math.max(1, Math.round(path.tokens / 10)) : 16;
    const from = position ?? 0;
    const to = { ArrowRight: from + step, ArrowLeft: from - step, Home: 0, End: path.tokens - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    asked.value = Math.min(path.tokens - 1, Math.max(0, to));
  };
  return (
    <article class="strip" aria-label={title}>
      <h3>
        {title} · {count(path.tokens)} tokens{path.shared_tokens > 0 && `, the first ${count(path.shared_tokens)} as above`}
      </h3>
      <Marks path={path} />
      <svg
        class="field"
        viewBox={`0 0 ${path.tokens} ${rows}`}
        preserveAspectRatio="none"
        height={rows * rowHeight(rows)}
        role="slider"
        tabIndex={0}
        aria-label="Position"
        aria-valuemin={0}
        aria-valuemax={path.tokens - 1}
        aria-valuenow={position ?? 0}
        aria-valuetext={`position ${count(position ?? 0)}: ${textAt(map, path, position ?? 0).join('; ')}`}
        onPointerMove={onPointerMove}
        onPointerLeave={() => (asked.value = null)}
        onKeyDown={onKeyDown}
        onBlur={() => (asked.value = null)}
      >
        <path class="gone" d={backdrop(rows, path.tokens)} />
        {drawn.map(({ name, lines }) => (
          <path key={name} class={name} d={lines} />
        ))}
        {path.shared_tokens > 0 && <rect class="before" width={path.shared_tokens} height={rows} />}
        {path.boundaries.map(({ position }) => (
          <line key={position} class="at" x1={position} x2={position} y1={0} y2={rows} />
        ))}
        {position !== null && <line class="asked" x1={position} x2={position} y1={0} y2={rows} />}
      </svg>
      <div class="axis" aria-hidden="true">
        {ticks(path.tokens).map((at) => (
          <span key={at} style={{ left: `${(100 * at) / path.tokens}%` }}>
            {count(at)}
          </span>
        ))}
      </div>
      <p class="small readout">
        {position !== null
          ? `Position ${count(position)} · ${textAt(map, path, position).join(' · ')}`
          : continues.length > 0
            ? `Requests can continue from ${continues.map(count).join(', ')}`
            : ' '}
      </p>
    </article>
  );
}
