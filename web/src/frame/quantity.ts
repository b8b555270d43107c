// Numbers as people read them.
const whole = new Intl.NumberFormat('en');

export const count = (value: number) => whole.format(value);

const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];

// As the planner writes them: powers of 1000, three digits.
export function bytes(value: number): string {
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    ++unit;
  }
  return `${unit === 0 ? value : value.toPrecision(3)} ${units[unit]}`;
}

// Of a context: 131072 -> "128k".
export function tokens(value: number): string {
  if (value >= 1 << 20 && value % (1 << 20) === 0) return `${value >> 20}M`;
  return value >= 1024 && value % 1024 === 0 ? `${value >> 10}k` : count(value);
}

export function milliseconds(seconds: number): string {
  if (seconds >= 10) return `${seconds.toFixed(0)} s`;
  if (seconds >= 1) return `${seconds.toFixed(1)} s`;
  const ms = seconds * 1000;
  return `${ms < 10 ? ms.toFixed(1) : ms.toFixed(0)} ms`;
}
