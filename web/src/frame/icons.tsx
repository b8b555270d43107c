// Line drawings on a grid of 20, in the colour of the text.
const lines = {
  send: 'M10 16V4M4.5 9.5 10 4l5.5 5.5',
  stop: 'M6 6h8v8H6z',
  again: 'M15.5 8A6 6 0 1 0 16 11M16 4v4h-4',
  edit: 'm4 16 1-4 8.5-8.5 3 3L8 15z',
  copy: 'M7 7V4h9v9h-3M4 7h9v9H4z',
  done: 'm4 10.5 4 4 8-9',
  remove: 'M4 6h12M8 6V4h4v2M6 6l.7 10h6.6L14 6',
  add: 'M10 4v12M4 10h12',
  before: 'm12 5-5 5 5 5',
  after: 'm8 5 5 5-5 5',
  settings: 'M3 6h8M15 6h2M3 14h2M9 14h8M13 4v4M7 12v4',
  list: 'M4 5.5h12M4 10h12M4 14.5h12',
  close: 'm5 5 10 10M15 5 5 15',
  system: 'M3 4h14v9H3zM7 16h6M10 13v3',
  light: 'M10 6.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7M10 2v2M10 16v2M2 10h2M16 10h2M4.3 4.3l1.4 1.4M14.3 14.3l1.4 1.4M4.3 15.7l1.4-1.4M14.3 5.7l1.4-1.4',
  dark: 'M16 12A7 7 0 0 1 8 4a6.5 6.5 0 1 0 8 8',
} as const;

export function Icon({ name }: { name: keyof typeof lines }) {
  return (
    <svg class="icon" viewBox="0 0 20 20" aria-hidden="true">
      <path d={lines[name]} />
    </svg>
  );
}
