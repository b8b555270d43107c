interface SliderProps<T> {
  label: string;
  values: T[];
  value: T;
  text: (value: T) => string;
  set: (value: T) => void;
}

// A slider over a list of values.
export function Slider<T>({ label, values, value, text, set }: SliderProps<T>) {
  return (
    <label class="field">
      <span>
        {label} <b>{text(value)}</b>
      </span>
      <input
        type="range"
        min={0}
        max={values.length - 1}
        step={1}
        value={values.indexOf(value)}
        aria-valuetext={text(value)}
        onInput={(event) => set(values[Number(event.currentTarget.value)]!)}
      />
    </label>
  );
}

interface ChoiceProps {
  label: string;
  value: string;
  of: string[];
  set: (value: string) => void;
}

export function Choice({ label, value, of, set }: ChoiceProps) {
  return (
    <label class="field">
      <span>{label}</span>
      <select value={value || of[0]} onChange={(event) => set(event.currentTarget.value)}>
        {of.map((name) => (
          <option key={name}>{name}</option>
        ))}
      </select>
    </label>
  );
}
