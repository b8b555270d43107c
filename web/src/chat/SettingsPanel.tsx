import { info } from '../server/info';
import { chosen } from './chosen';
import type { Settings } from './conversation';
import { save, shown } from './store';

function set(change: Partial<Settings>) {
  save({ ...shown.value, settings: { ...shown.value.settings, ...change } });
}

interface RangeProps {
  label: string;
  hint: string;
  name: 'temperature' | 'topP' | 'topK' | 'minP' | 'repetitionPenalty';
  min: number;
  max: number;
  step: number;
}

function Range({ label, hint, name, min, max, step }: RangeProps) {
  const value = shown.value.settings[name];
  return (
    <label class="field" title={hint}>
      <span>
        {label} <b>{value}</b>
      </span>
      <input type="range" min={min} max={max} step={step} value={value} onInput={(event) => set({ [name]: Number(event.currentTarget.value) })} />
    </label>
  );
}

function WholeNumber({ label, hint, name, empty }: { label: string; hint: string; name: 'maxTokens' | 'seed'; empty: string }) {
  const onInput = (event: { currentTarget: HTMLInputElement }) => {
    const { value, validity } = event.currentTarget;
    if (validity.valid) set({ [name]: value === '' ? null : Number(value) });
  };
  return (
    <label class="field" title={hint}>
      <span>{label}</span>
      <input type="number" min={name === 'seed' ? 0 : 1} max={2 ** 31} step={1} placeholder={empty} value={shown.value.settings[name] ?? ''} onInput={onInput} />
    </label>
  );
}

export function SettingsPanel() {
  const { settings } = shown.value;
  return (
    <section class="settings" aria-label="Settings of this conversation">
      <h2>Settings</h2>
      <label class="field">
        <span>Model</span>
        <select value={chosen.value.model} onChange={(event) => set({ model: event.currentTarget.value })}>
          {info.value!.models.map(({ model }) => (
            <option key={model}>{model}</option>
          ))}
        </select>
      </label>
      {chosen.value.chat && (
        <label class="field">
          <span>System prompt</span>
          <textarea rows={4} value={settings.system} placeholder="What the model is told before the conversation" onInput={(event) => set({ system: event.currentTarget.value })} />
        </label>
      )}
      <Range label="Temperature" hint="0: always the most likely token; higher: bolder" name="temperature" min={0} max={2} step={0.05} />
      <Range label="Top p" hint="The fewest tokens whose probabilities reach this sum" name="topP" min={0.05} max={1} step={0.05} />
      <Range label="Top k" hint="The k most likely tokens; 0: all" name="topK" min={0} max={200} step={1} />
      <Range label="Min p" hint="Tokens at least this likely, relative to the most likely" name="minP" min={0} max={0.5} step={0.01} />
      <Range label="Repetition penalty" hint="Above 1: what was said lately is less likely" name="repetitionPenalty" min={1} max={1.5} step={0.01} />
      <WholeNumber label="Longest answer, in tokens" hint="Empty: what the context takes" name="maxTokens" empty="what the context takes" />
      <WholeNumber label="Seed" hint="The same seed gives the same answer" name="seed" empty="another each time" />
    </section>
  );
}
