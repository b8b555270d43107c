import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type uPlot from 'uplot';
import { Legend, type Line, Plot } from '../frame/Plot';
import { bytes, count, tokens } from '../frame/quantity';
import { chosen } from '../chat/chosen';
import { info } from '../server/info';
import { LayerStrip } from './LayerStrip';
import { Choice, Slider } from './controls';
import { answer, askPlan, type Choices, choices, trouble } from './question';

const contexts = Array.from({ length: 12 }, (_, i) => 512 << i); // 512 to 1M
const sequenceCounts = [1, 2, 4, 8, 16, 32, 64, 128, 256];
const windows = [null, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768];
const headCounts = [null, 1, 2, 4, 8, 16, 32, 64];
const ratios: Choices['ratio'][] = [null, [0, 1], [1, 1], [2, 1], [3, 1], [4, 1], [5, 1], [6, 1], [7, 1], [11, 1], [23, 1], [1, 0]];

const asIs = 'as it is';

function ratioText(ratio: Choices['ratio']) {
  if (!ratio) return asIs;
  if (ratio[0] === 0) return 'all global';
  return ratio[1] === 0 ? 'all local' : `${ratio[0]} : ${ratio[1]}`;
}

const lines: Line[] = [
  { label: 'with these settings', colour: 'accent', fill: true },
  { label: 'the model as it is, bf16', colour: 'hit', dash: [5, 4] },
  { label: 'if every layer were global', colour: 'global', dash: [2, 4] },
];

function Controls() {
  const { models, codecs, weights } = info.value!.planner;
  const set = (change: Partial<Choices>) => (choices.value = { ...choices.value, ...change });
  const now = choices.value;
  return (
    <form class="controls" aria-label="Settings" onSubmit={(event) => event.preventDefault()}>
      <Choice label="Model" value={now.model || chosen.value.model} of={models} set={(model) => set({ model })} />
      <Slider label="Context" values={contexts} value={now.context} text={tokens} set={(context) => set({ context })} />
      <Slider label="Sequences" values={sequenceCounts} value={now.sequences} text={count} set={(sequences) => set({ sequences })} />
      <Slider label="Local : global layers" values={ratios} value={now.ratio} text={ratioText} set={(ratio) => set({ ratio })} />
      <Slider label="Window" values={windows} value={now.window} text={(value) => (value ? tokens(value) : asIs)} set={(window) => set({ window })} />
      <Slider label="K/V heads" values={headCounts} value={now.kvHeads} text={(value) => (value ? count(value) : asIs)} set={(kvHeads) => set({ kvHeads })} />
      <Choice label="Local codec" value={now.kvLocal} of={codecs} set={(kvLocal) => set({ kvLocal })} />
      <Choice label="Global codec" value={now.kvGlobal} of={codecs} set={(kvGlobal) => set({ kvGlobal })} />
      <Choice label="Global layers keep K = V once" value={now.oneStream} of={[asIs, 'on', 'off']} set={(oneStream) => set({ oneStream })} />
      <Choice label="Weights" value={now.weights} of={[asIs, ...weights]} set={(name) => set({ weights: name })} />
    </form>
  );
}

function Numbers() {
  const { plan, as_is, fits, memory_bytes } = answer.value!;
  const times = as_is.kv_bytes / Math.max(1, plan.kv_bytes);
  return (
    <ul class="numbers" aria-live="polite">
      <li>
        <b data-number="kv">{bytes(plan.kv_bytes)}</b>
        <span>keys and values</span>
        <span class="small">{Math.abs(times - 1) < 0.005 ? 'as the model is' : times > 1 ? `${times.toFixed(1)} × less than as it is` : `${(1 / times).toFixed(1)} × as much as it is`}</span>
      </li>
      <li>
        <b>{bytes(plan.weights_bytes)}</b>
        <span>weights</span>
        <span class="small">{plan.weights_format}</span>
      </li>
      <li>
        <b class={fits ? 'good' : 'bad'}>{bytes(plan.total_bytes)}</b>
        <span>in all</span>
        <span class="small">
          {fits ? 'fits' : 'does not fit'} the {bytes(memory_bytes)} that are free here
        </span>
      </li>
      <li>
        <b>{bytes(plan.read_bytes_per_token)}</b>
        <span>read for one more token</span>
        <span class="small">at the end of the context</span>
      </li>
    </ul>
  );
}

function Groups() {
  const { plan } = answer.value!;
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Groups of layers">
      <table>
        <thead>
          <tr>
            <th>layers</th>
            <th>window</th>
            <th>heads</th>
            <th>codec</th>
            <th>per token</th>
            <th>bytes</th>
            <th>if global</th>
          </tr>
        </thead>
        <tbody>
          {plan.groups.map((group, i) => (
            <tr key={i}>
              <td>
                <i class={`swatch ${group.kind}`} /> {group.layers.length} {group.kind}
              </td>
              <td>{group.window ? count(group.window) : 'all'}</td>
              <td>{group.kv_heads ? `${group.kv_heads} × ${group.head_dim}${group.one_stream ? ', K=V' : ''}` : '–'}</td>
              <td>{group.codec || '–'}</td>
              <td>{bytes(group.bytes_per_token)}</td>
              <td>{bytes(group.bytes)}</td>
              <td>{bytes(group.all_global_bytes)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function PlanView() {
  const logarithmic = useSignal(false);
  useEffect(askPlan, [choices.value]);
  const now = answer.value;
  const byContext = {
    scale: { distr: 3 as uPlot.Scale.Distr, log: 2 as uPlot.Scale.LogBase },
    text: (value: number) => tokens(Math.round(value)),
    splits: (self: uPlot) => contexts.filter((context, i) => context <= (self.scales.x!.max ?? 0) && (self.width > 560 || i % 2 === 0)),
  };
  return (
    <div class="view plan-view">
      <h1>Plan</h1>
      <Controls />
      <div class="results">
        {trouble.value && (
          <p class="trouble" role="alert">
            {trouble}
          </p>
        )}
        {now && (
          <>
            <Numbers />
            {now.plan.not_computed.length > 0 && <p class="small">Not run by this engine today: {now.plan.not_computed.join('; ')}.</p>}
            <section>
              <div class="row spread">
                <h2>Keys and values against context</h2>
                <label class="small">
                  <input type="checkbox" checked={logarithmic.value} onInput={(event) => (logarithmic.value = event.currentTarget.checked)} /> logarithmic
                </label>
              </div>
              <Legend lines={lines} />
              <Plot
                key={String(logarithmic.value)}
                label={`Bytes of keys and values against context: ${bytes(now.plan.kv_bytes)} at ${tokens(now.plan.context)}`}
                data={[now.curve.context, now.curve.kv_bytes, now.curve.as_is_bytes, now.curve.all_global_bytes] as uPlot.AlignedData}
                lines={lines}
                height={260}
                x={byContext}
                y={{ text: bytes, size: 70, scale: logarithmic.value ? { distr: 3 } : { range: (_, __, most) => [0, most] } }}
                mark={now.plan.context}
              />
            </section>
            <section>
              <h2>What each layer keeps</h2>
              <LayerStrip layers={now.layers} />
            </section>
            <section>
              <h2>Groups</h2>
              <Groups />
            </section>
          </>
        )}
      </div>
    </div>
  );
}
