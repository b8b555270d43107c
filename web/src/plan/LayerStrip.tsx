import { bytes, count } from '../frame/quantity';
import type { PlanLayer } from './question';

const least = 0.03; // of the height, for a layer that keeps anything

// A bar per layer, as high as what it keeps.
export function LayerStrip({ layers }: { layers: PlanLayer[] }) {
  const most = Math.max(1, ...layers.map((layer) => layer.bytes));
  const kinds = [...new Set(layers.map((layer) => layer.kind))];
  const summary = kinds.map((kind) => `${layers.filter((layer) => layer.kind === kind).length} ${kind}`).join(', ');
  return (
    <>
      <svg class="layer-strip" viewBox={`0 0 ${layers.length} 100`} preserveAspectRatio="none" role="img" aria-label={`${layers.length} layers: ${summary}`}>
        {layers.map(({ kind, window, shares_with, bytes: kept }, i) => {
          const height = kept > 0 ? 100 * Math.max(least, kept / most) : 0;
          const what = shares_with === null ? bytes(kept) : `reads the keys and values of layer ${shares_with}`;
          return (
            <g key={i}>
              <title>{`layer ${i}, ${kind}${window ? `, window ${count(window)}` : ''}: ${what}`}</title>
              <rect class="gone" x={i + 0.08} y={0} width={0.84} height={100} />
              <rect class={kind} x={i + 0.08} y={100 - height} width={0.84} height={height} />
            </g>
          );
        })}
      </svg>
      <ul class="legend">
        {kinds.map((kind) => (
          <li key={kind}>
            <i class={`swatch ${kind}`} /> {layers.filter((layer) => layer.kind === kind).length} {kind}
          </li>
        ))}
        <li class="small">the highest bar: {bytes(most)}</li>
      </ul>
    </>
  );
}
